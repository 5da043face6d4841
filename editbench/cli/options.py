"""The flags of commands that take a whole configuration, each declared once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from editbench.cli import completion
from editbench.cli.completion import Completer
from editbench.cli.modes import Mode, Thumbnails
from editbench.cli.streams import private_stdout
from editbench.errors import ConfigError

if TYPE_CHECKING:
    from editbench.api import RunConfig

WHAT = "What to run"
WHICH = "Which pairs"
MEMORY = "Memory"
HOW = "How it runs"
OUTPUT = "Output"


def flag(
    name: str,
    *short: str,
    help: str,
    panel: str,
    metavar: str | None = None,
    complete: Completer | None = None,
) -> Any:
    """Declare ``--name``, with ``EDITBENCH_NAME`` as its environment variable."""
    return typer.Option(
        f"--{name}",
        *short,
        help=help,
        metavar=metavar,
        autocompletion=complete,
        envvar=variable(name),
        rich_help_panel=panel,
        show_default=False,
    )


def variable(name: str) -> str:
    """Return the environment variable of a flag."""
    return "EDITBENCH_" + name.upper().replace("-", "_")


@dataclass(frozen=True, slots=True)
class Watch:
    """How a run is watched."""

    display: Annotated[Mode, flag("display", help="How to show it.", panel=OUTPUT)] = Mode.AUTO
    quiet: Annotated[
        int,
        typer.Option(
            "--quiet",
            "-q",
            count=True,
            help="Print only the run's folder; -qq not even that.",
            envvar=variable("quiet"),
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = 0
    thumbnails: Annotated[
        Thumbnails,
        flag("thumbnails", help="Show the latest edit in the dashboard.", panel=OUTPUT),
    ] = Thumbnails.OFF


@dataclass(frozen=True, slots=True)
class Settings:
    """A run file and the flags that override it. What is not given is None or empty."""

    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN.toml",
            help="Run file; without one, the run.toml that is here, else the built-in demo.",
        ),
    ] = None
    suite: Annotated[
        str | None,
        flag(
            "suite",
            "-b",
            help="Suite: file, folder or name.",
            panel=WHAT,
            metavar="PATH|NAME",
            complete=completion.suites,
        ),
    ] = None
    language: Annotated[
        str | None,
        flag("language", help="Texts of a bilingual suite.", panel=WHAT, metavar="en|zh"),
    ] = None
    editor: Annotated[
        str | None,
        flag(
            "editor",
            "-e",
            help="Editor.",
            panel=WHAT,
            metavar="NAME[:MODEL]",
            complete=completion.editors,
        ),
    ] = None
    judge: Annotated[
        str | None,
        flag(
            "judge",
            "-j",
            help="Judge.",
            panel=WHAT,
            metavar="NAME[:MODEL]",
            complete=completion.judges,
        ),
    ] = None
    rubric: Annotated[
        str | None,
        flag("rubric", help="How the judge is to score.", panel=WHAT, metavar="NAME|FILE"),
    ] = None
    set: Annotated[
        list[str] | None,
        flag(
            "set",
            "-s",
            help="Any setting, such as editor.dtype=bf16. Repeat for more.",
            panel=WHAT,
            metavar="KEY=VALUE",
        ),
    ] = None
    seed: Annotated[int | None, flag("seed", help="Base of all seeds.", panel=WHAT)] = None
    limit: Annotated[
        int | None,
        flag("limit", "-n", help="At most so many pairs of each category.", panel=WHICH),
    ] = None
    category: Annotated[
        list[str] | None,
        flag(
            "category",
            "-c",
            help="Only this category. Repeat for more.",
            panel=WHICH,
            complete=completion.categories,
        ),
    ] = None
    pair: Annotated[
        list[str] | None,
        flag(
            "pair",
            help="Only this pair; @FILE has one id a line. Repeat for more.",
            panel=WHICH,
            metavar="ID|@FILE",
        ),
    ] = None
    skip_bad: Annotated[
        bool,
        flag("skip-bad", help="Count unreadable images as failures; go on.", panel=WHICH),
    ] = False
    device: Annotated[
        str | None,
        flag(
            "device",
            help="Device, or one for each model.",
            panel=MEMORY,
            metavar="cuda:0|cuda:0,cuda:1|cpu|auto",
        ),
    ] = None
    device_budget: Annotated[
        str | None,
        flag("device-budget", help="Of the device.", panel=MEMORY, metavar="20GB|90%"),
    ] = None
    host_budget: Annotated[
        str | None,
        flag("host-budget", help="Decoded images in RAM.", panel=MEMORY, metavar="8GB|auto"),
    ] = None
    spill_budget: Annotated[
        str | None,
        flag("spill-budget", help="Edits on disk.", panel=MEMORY, metavar="50GB|auto"),
    ] = None
    spill_dir: Annotated[
        Path | None, flag("spill-dir", help="Where they lie.", panel=MEMORY, metavar="DIR")
    ] = None
    keep: Annotated[
        str | None,
        flag(
            "keep",
            help="What stays on disk of an edit once it is scored.",
            panel=MEMORY,
            metavar="all|until-scored|thumbnails",
        ),
    ] = None
    out: Annotated[
        Path | None, flag("out", "-o", help="Where run folders go.", panel=HOW, metavar="DIR")
    ] = None
    name: Annotated[str | None, flag("name", help="Name of the run's folder.", panel=HOW)] = None
    retries: Annotated[
        int | None, flag("retries", help="Further attempts for a failed item.", panel=HOW)
    ] = None
    max_failures: Annotated[
        int | None,
        flag("max-failures", help="Failed pairs that still count as success.", panel=HOW),
    ] = None
    fail_fast: Annotated[bool, flag("fail-fast", help="Stop at the first failure.", panel=HOW)] = (
        False
    )
    item_timeout: Annotated[
        str | None,
        flag("item-timeout", help="Longest for one item.", panel=HOW, metavar="10m"),
    ] = None
    early_scores: Annotated[
        bool,
        flag("early-scores", help="Score the first category at once: two swaps.", panel=HOW),
    ] = False
    observer: Annotated[
        list[str] | None,
        flag(
            "observer",
            help="Also told of every event, such as a tracker. Repeat for more.",
            panel=HOW,
            metavar="NAME|FILE:CLASS",
            complete=completion.observers,
        ),
    ] = None
    threads: Annotated[int | None, flag("threads", help="Of torch.", panel=HOW)] = None
    given: Mapping[str, str] = field(default_factory=dict)  #: flag to COMMANDLINE or ENVIRONMENT

    HIDDEN: ClassVar[frozenset[str]] = frozenset({"given"})  #: fields that are no flags here

    def load(self) -> RunConfig:
        """Return the checked configuration; flags win over --set, --set over the environment.

        Raises ``ConfigError`` with every problem.
        """
        from editbench.api import load_config

        with private_stdout():  # a backend of one's own may print while it is imported
            return load_config(
                self.run_file(),
                settings=[*self.from_environment(), *self.explicit_settings()],
                overrides=self.overrides(),
            )

    def run_file(self) -> Path | None:
        """Return the file that is named, or else the one that ``editbench init`` writes here."""
        return self.file or (Path("run.toml") if Path("run.toml").is_file() else None)

    def overrides(self) -> dict[str, Any]:
        """Return what the flags say, nested as in a run file."""
        out: dict[str, Any] = {}
        for path, value in self._values("COMMANDLINE"):
            section, _, key = path.rpartition(".")
            (out.setdefault(section, {}) if section else out)[key] = value
        return out

    def from_environment(self) -> list[str]:
        """Return what the environment says, written as ``--set`` takes it."""
        return [f"{path}={_toml(value)}" for path, value in self._values("ENVIRONMENT")]

    def explicit_settings(self) -> list[str]:
        """Return what ``--set`` was given on the command line."""
        # EDITBENCH_SET is left to load_config: values may hold the spaces it would be cut at here.
        return list(self.set or ()) if self.given.get("set") == "COMMANDLINE" else []

    def _values(self, source: str) -> Iterator[tuple[str, Any]]:
        for name, convert in MEANING.items():
            if self.given.get(name) == source:
                yield from convert(getattr(self, name))


class Means(Settings):
    """The flags that change how a run is made, and not what it finds."""

    HIDDEN = Settings.HIDDEN | {"file", "suite", "language", "editor", "judge", "rubric", "set"}
    HIDDEN |= {"seed", "limit", "category", "pair", "skip_bad", "name", "out"}

    def changes(self) -> dict[str, Any]:
        """Return what these flags and their variables lay over a run's own settings."""
        from editbench.config import merge, nest, parse_setting

        return merge(nest(map(parse_setting, self.from_environment())), self.overrides())


class Scoring(Means):
    """The flags that change how a run's edits are scored."""

    HIDDEN = Means.HIDDEN - {"judge", "rubric", "set", "name"}


def _at(path: str) -> Callable[[Any], Iterator[tuple[str, Any]]]:
    def place(value: Any) -> Iterator[tuple[str, Any]]:
        yield path, str(value) if isinstance(value, Path) else value

    return place


def _backend(role: str) -> Callable[[str], Iterator[tuple[str, Any]]]:
    def place(value: str) -> Iterator[tuple[str, Any]]:
        from editbench.config import named_backend

        for key, meant in named_backend(value).items():
            yield f"{role}.{key}", meant

    return place


def _pairs(values: list[str]) -> Iterator[tuple[str, Any]]:
    ids: list[str] = []
    for value in values:
        ids += _read_ids(Path(value[1:])) if value.startswith("@") else [value]
    yield "suite.pair", ids


def _read_ids(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"--pair cannot read {file}: {exc}") from exc
    return [line.strip() for line in lines if line.strip()]


def _toml(value: object) -> str:
    """Return a flag's value as TOML, whose strings, numbers and lists are JSON's."""
    return json.dumps(value, ensure_ascii=False)


#: What each flag sets. ``file`` and ``set`` set nothing by themselves.
MEANING: Mapping[str, Callable[[Any], Iterator[tuple[str, Any]]]] = {
    "suite": _at("suite.path"),
    "language": _at("suite.language"),
    "editor": _backend("editor"),
    "judge": _backend("judge"),
    "rubric": _at("judge.rubric"),
    "seed": _at("seed"),
    "limit": _at("suite.limit"),
    "category": _at("suite.category"),
    "pair": _pairs,
    "skip_bad": _at("suite.skip_bad"),
    "device": _at("memory.device"),
    "device_budget": _at("memory.device_budget"),
    "host_budget": _at("memory.host"),
    "spill_budget": _at("memory.spill"),
    "spill_dir": _at("memory.folder"),
    "keep": _at("memory.keep"),
    "observer": _at("observers"),
    "out": _at("run.out"),
    "name": _at("run.name"),
    "retries": _at("run.retries"),
    "max_failures": _at("run.max_failures"),
    "fail_fast": _at("run.fail_fast"),
    "item_timeout": _at("run.item_timeout"),
    "early_scores": _at("run.early_scores"),
    "threads": _at("run.threads"),
}
