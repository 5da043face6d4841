"""What a run is told: run file, flags, environment and defaults, checked strictly.

Does not know which settings a backend has: unknown keys of ``[editor]`` and ``[judge]`` are handed
to the backend's own ``Settings``, and its complaints are reported together with ours.
"""

from __future__ import annotations

import copy
import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from editbench.errors import ConfigError
from editbench.records import Json
from editbench.units import parse_bytes, parse_seconds

_NAMES = ("demo", "default")  #: of what is built in, even where a file is called so


def _size(value: object) -> object:
    return parse_bytes(value) if isinstance(value, str) else value


def _bytes_only(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"expected a size such as '8GB', got {value}")
    return _size(value)


def _share(value: object) -> object:
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            share = float(value.strip()[:-1]) / 100
        except ValueError:
            share = 0.0
        if not 0 < share <= 1:
            raise ValueError(f"expected a size such as '20GB', or 1% to 100%, got {value!r}")
        return share
    return _bytes_only(value)


def _devices(value: object) -> object:
    names = [name.strip() for name in value.split(",")] if isinstance(value, str) else []
    if len(names) > 2 or not all(names):
        raise ValueError(f"expected a device, or the editor's and the judge's, got {value!r}")
    if len(names) == 2 and ("auto" in names or (names[0] == names[1] != "cpu")):
        raise ValueError(f"expected two different devices such as cuda:0,cuda:1, got {value!r}")
    return ",".join(names)


def _folder_name(value: object) -> object:
    if isinstance(value, str) and (not value or value in (".", "..") or "/" in value):
        raise ValueError(f"expected the name of one folder, got {value!r}; run.out says where")
    return value


def _duration(value: object) -> object:
    return parse_seconds(value) if isinstance(value, str) else value


def _auto_or(written: Any) -> BeforeValidator:
    """Let a setting that is written so also be ``auto``, which is None."""
    return BeforeValidator(
        lambda value: None if value == "auto" else value,
        json_schema_input_type=Literal["auto"] | written,
    )


_SIZE = r"^\s*\d+(\.\d+)?\s*([kKmMgGtT]?[iI]?[bB])\s*$"
_Size = Annotated[str, Field(pattern=_SIZE)]  #: as written
_SizeOrShare = Annotated[str, Field(pattern=f"({_SIZE})|(^\\s*\\d+(\\.\\d+)?%\\s*$)")]
Bytes = Annotated[int, BeforeValidator(_bytes_only, json_schema_input_type=_Size)]
Budget = Annotated[  #: bytes, or a share of what there is
    int | float, BeforeValidator(_share, json_schema_input_type=_SizeOrShare)
]
Seconds = Annotated[float, BeforeValidator(_duration, json_schema_input_type=str | float)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SuiteConfig(_Section):
    """What is evaluated, and which part of it."""

    path: str = Field("demo", description="file, folder or name of a suite; 'demo' is built in")
    language: Literal["en", "zh"] = Field("en", description="which texts a bilingual suite shows")
    category: list[str] = Field(default_factory=list, description="only these categories")
    pair: list[str] = Field(default_factory=list, description="only these pair ids")
    limit: int | None = Field(None, ge=1, description="at most so many pairs of each category")
    skip_bad: bool = Field(
        False, description="count pairs whose image cannot be read as failures instead of refusing"
    )


class BackendConfig(BaseModel):
    """Which backend, and its own settings beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)
    use: str
    batch: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        "auto", description="requests a step; auto is 1 unless the device gains from more"
    )

    def settings(self) -> dict[str, Json]:
        """Return what the backend itself is to check and use."""
        return dict(self.model_extra or {})


class EditorConfig(BackendConfig):
    """The image editor under test."""

    use: str = "diffusers"


class JudgeConfig(BackendConfig):
    """The model that scores the edits."""

    use: str = "transformers"
    rubric: str = Field("default", description="name of a rubric, or a TOML file with your own")


class ObserverConfig(BaseModel):
    """What else is told of everything that happens, such as a tracker; its settings beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)
    use: str = Field(description="name, pkg.module:Factory or file.py:Factory")

    def settings(self) -> dict[str, Json]:
        """Return what the observer itself is to check and use."""
        return dict(self.model_extra or {})


class MemoryConfig(_Section):
    """How much may be held where."""

    device: Annotated[str, BeforeValidator(_devices)] = Field(
        "auto",
        description="cuda:0, mps, cpu or auto; cuda:0,cuda:1 is one for each model",
    )
    device_budget: Budget | None = Field(
        None, description="bytes or share of the device; on a CPU it makes a pretend device"
    )
    host: Annotated[Budget | None, _auto_or(_SizeOrShare)] = Field(
        None, description="decoded images kept in RAM; auto is a share of what is free"
    )
    weights: Annotated[Budget | None, _auto_or(_SizeOrShare)] = Field(
        None, description="weights kept in RAM beside the device; auto is what else is free"
    )
    keep_weights: bool = Field(
        False, description="keep on disk, for later runs, the weights that RAM cannot hold"
    )
    spill: Annotated[Bytes | None, _auto_or(_Size)] = Field(
        None, description="edits on disk; auto is what the disk has, less a reserve"
    )
    keep: Literal["all", "until-scored", "thumbnails"] = Field(
        "all", description="what stays on disk of an edit once it is scored"
    )
    codec: Literal["auto", "webp", "jxl", "raw"] = Field(
        "webp", description="how edits are kept on disk, always without loss; auto goes by speed"
    )
    folder: Path | None = Field(None, description="where the store lives; shared by all runs")


class RunSection(_Section):
    """How the run behaves."""

    out: Path = Field(Path("runs"), description="folder that run folders are made in")
    name: Annotated[str, BeforeValidator(_folder_name)] | None = Field(
        None, description="name of the run's folder"
    )
    retries: int = Field(1, ge=0, description="further attempts for a failed item")
    max_failures: int = Field(0, ge=0, description="failed pairs that still count as success")
    fail_fast: bool = Field(False, description="stop at the first failure")
    item_timeout: Annotated[Seconds | None, Field(gt=0)] = Field(
        None, description="longest time on the device for one item"
    )
    score_only: bool = Field(
        False, description="score the edits that are stored, and make no others"
    )
    early_scores: bool = Field(
        False, description="score the first category before editing the rest: two swaps more"
    )
    threads: int | None = Field(None, ge=1, description="torch threads; tiny models always use 1")


class RunConfig(_Section):
    """Everything that a run is told."""

    suite: Annotated[
        SuiteConfig,
        BeforeValidator(
            lambda v: {"path": v} if isinstance(v, str) else v,
            json_schema_input_type=str | SuiteConfig,
        ),
    ] = SuiteConfig()
    seed: int = 0
    seed_policy: Literal["pair", "fixed"] = Field(
        "pair", description="pair: a seed from what each pair is; fixed: the same for all"
    )
    editor: EditorConfig = EditorConfig()
    judge: JudgeConfig = JudgeConfig()
    observers: list[
        Annotated[
            ObserverConfig,
            BeforeValidator(
                lambda v: {"use": v} if isinstance(v, str) else v,
                json_schema_input_type=str | ObserverConfig,
            ),
        ]
    ] = Field(default_factory=list, description="told of every event, such as trackers")
    memory: MemoryConfig = MemoryConfig()
    run: RunSection = RunSection()


def read_file(path: Path) -> dict[str, Any]:
    """Return a run file's tables. Raises ``ConfigError`` with the line of a syntax error."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"there is no run file {path}", hint="editbench init writes a commented one"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"cannot read {path}: {exc}") from exc


def parse_setting(text: str) -> tuple[list[str], Any]:
    """Split ``a.b=value`` into its path and its value: TOML if it parses, else a plain string."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set expects KEY=VALUE, got {text!r}")
    try:
        parsed: Any = tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        parsed = value
    return [part.strip() for part in key.split(".")], parsed


def named_backend(text: str) -> dict[str, str]:
    """Return what ``NAME`` or ``NAME:MODEL`` says: ``use``, and ``model`` where one is named."""
    words = text.split(":")
    # A backend of one's own has a colon in its name: file.py:Class, package.module:Class.
    own = 2 if "." in words[0] else 1
    out = {"use": ":".join(words[:own])}
    if words[own:]:
        out["model"] = ":".join(words[own:])
    return out


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested mappings over each other; later ones win. ``suite = "x"`` means its path."""
    out: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            if key == "suite" and isinstance(value, str):
                value = {"path": value}
            old = out.get(key)
            both = isinstance(old, Mapping) and isinstance(value, Mapping)
            out[key] = merge(old, value) if both and old and isinstance(value, Mapping) else value
    return out


def layered(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge layers of settings. Naming another backend drops the settings of the one before."""
    out: dict[str, Any] = {}
    for layer in layers:
        for kind, model in (("editor", EditorConfig), ("judge", JudgeConfig)):
            old, new = out.get(kind), layer.get(kind)
            if not (isinstance(old, Mapping) and isinstance(new, Mapping) and "use" in new):
                continue
            if new["use"] != old.get("use", model.model_fields["use"].default):
                out[kind] = {key: old[key] for key in old if key in model.model_fields}
        out = merge(out, layer)
    return out


def nest(settings: Iterable[tuple[Sequence[str], Any]]) -> dict[str, Any]:
    """Turn paths and values into nested mappings."""
    out: dict[str, Any] = {}
    for path, value in settings:
        for key in reversed(path):
            value = {key: value}
        out = merge(out, value)
    return out


def build(values: Mapping[str, Any]) -> tuple[RunConfig | None, list[str]]:
    """Check the values; return the configuration, or None and every problem as a line."""
    try:
        return RunConfig.model_validate(values), []
    except ValidationError as exc:
        return None, explain(exc, RunConfig)


def explain(error: ValidationError, model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return one line a problem: dotted path, what is wrong, what was probably meant."""
    lines: dict[str, str] = {}
    for problem in error.errors():
        place = [str(part) for part in problem["loc"] if not str(part).startswith("function-")]
        path = prefix + ".".join(place)
        if problem["type"] == "extra_forbidden":
            text = "unknown setting" + _meant(place, model)
        elif problem["type"] == "literal_error":
            text = f"expected {problem['ctx']['expected']}, got {problem['input']!r}"
        elif problem["type"] == "value_error":
            text = str(problem["ctx"]["error"])
        else:
            text = f"{_expected(problem)}, got {problem['input']!r}"
        lines.setdefault(path, text)
    return [f"{path:<24} {text}" for path, text in lines.items()]


_EXPECTED = {
    "int": "expected a whole number",
    "float": "expected a number",
    "bool": "expected true or false",
    "string": "expected a text",
    "list": "expected a list",
    "dict": "expected a table, such as {{ name = value }}",
    "model": "expected a table, such as {{ name = value }}",
    "greater_than_equal": "expected at least {ge}",
    "greater_than": "expected more than {gt}",
    "less_than_equal": "expected at most {le}",
    "missing": "missing",
}


def _expected(problem: Mapping[str, Any]) -> str:
    """Say what a value should have been, in plain words where the library's are not."""
    kind: str = problem["type"]
    for start, text in _EXPECTED.items():
        if kind in (start, f"{start}_type", f"{start}_parsing", f"{start}_from_float"):
            return text.format(**problem.get("ctx", {}))
    return f"{problem['msg'][:1].lower()}{problem['msg'][1:]}"


def _meant(place: Sequence[str], model: type[BaseModel]) -> str:
    """Say which setting was probably meant by one that is not known, here or elsewhere."""
    *sections, name = place
    if near := difflib.get_close_matches(name, _fields(model, sections), n=1):
        return f", did you mean {near[0]!r}?"
    elsewhere = [name] if name in model.model_fields else []
    elsewhere += [f"{part}.{name}" for part in model.model_fields if name in _fields(model, [part])]
    return f", did you mean {elsewhere[0]!r}?" if elsewhere else ""


def _fields(model: type[BaseModel], place: Sequence[str]) -> list[str]:
    for name in place:
        found = model.model_fields.get(name)
        kind = found.annotation if found else None
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return []
        model = kind
    return list(model.model_fields)


def with_paths(values: Mapping[str, Any], *, since: Path | None = None) -> dict[str, Any]:
    """Return a configuration's values with every path from the root, or relative to a folder."""

    def placed(path: Any) -> Any:
        if not isinstance(path, str) or not path or path in _NAMES or path.startswith("tiny/"):
            return path
        found = Path(path).expanduser()
        if not found.exists():
            return path
        return os.path.relpath(found.resolve(), since.resolve()) if since else str(found.resolve())

    out = copy.deepcopy(dict(values))
    for section, key in (("suite", "path"), ("judge", "rubric"), ("memory", "folder")):
        if key in out.get(section, {}):
            out[section][key] = placed(out[section][key])
    for plugin in (out["editor"], out["judge"], *out.get("observers", ())):
        file, colon, factory = plugin["use"].rpartition(":")
        plugin["use"] = placed(file) + colon + factory
        if "model" in plugin:
            plugin["model"] = placed(plugin["model"])
    return out
