"""Names to backends, through entry points.

A backend is a class, or any callable, with an attribute ``Settings`` (a pydantic model) and called
with an instance of it. Only the one that is asked for is imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from editbench.errors import BackendError, ConfigError, EditbenchError

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

    Explain = Callable[[ValidationError, type[BaseModel], str], list[str]]

Kind = Literal["editor", "judge", "observer"]
Factory = Callable[[Any], Any]

# Also found when the installed metadata is older than the source, as after a pull.
_BUILT_IN: dict[Kind, dict[str, str]] = {
    "editor": {
        "diffusers": "editbench.backends.diffusers_editor:DiffusersEditor",
        "pillow": "editbench.backends.pillow_editor:PillowEditor",
    },
    "judge": {
        "transformers": "editbench.backends.transformers_judge:TransformersJudge",
    },
    "observer": {},
}


class Listed(NamedTuple):
    """A backend that can be named."""

    name: str
    distribution: str
    version: str
    target: str  #: module:attribute


@dataclass(frozen=True, slots=True)
class _Offer:
    listed: Listed
    entry: EntryPoint


def names(kind: Kind) -> list[Listed]:
    """Return every backend of a kind that is installed, by name. Imports none of them."""
    return sorted(offer.listed for offer in _offers(kind))


def find(kind: Kind, name: str) -> Factory:
    """Return the factory of a name, of ``pkg.module:Factory`` or of ``path/to/file.py:Factory``.

    ``distribution/name`` picks one of several that offer the same name. Raises ``BackendError``.
    """
    if ":" in name:
        return _checked(name, _load_target(name))
    offers = [offer for offer in _offers(kind) if _answers_to(offer.listed, name)]
    if not offers:
        raise _unknown(kind, name)
    if len(offers) > 1:
        owners = [offer.listed.distribution for offer in offers]
        raise BackendError(
            f"the {kind} {name!r} is offered by {' and '.join(owners)}",
            hint=f"write {owners[0]}/{name} or {owners[1]}/{name}",
        )
    listed = offers[0].listed
    origin = f"the {kind} {name!r} of {listed.distribution} {listed.version}"
    return _checked(origin, _guarded(origin, offers[0].entry.load))


def check_settings(
    kind: Kind, name: str, values: Mapping[str, Any], *, explain: Explain, at: str = ""
) -> list[str]:
    """Return each problem of a backend's settings as a line, in the words of ``explain``.

    ``at`` is where the settings stand in a run file, if not under the kind's name.
    """
    from pydantic import ValidationError

    settings: type[BaseModel] = find(kind, name).Settings  # type: ignore[attr-defined]
    try:
        settings.model_validate(values)
    except ValidationError as exc:
        return explain(exc, settings, f"{at or kind}.")
    return []


def make(kind: Kind, name: str, values: Mapping[str, Any]) -> Any:
    """Return what a name stands for, set so. Raises ``BackendError``, ``ConfigError``."""
    from pydantic import ValidationError

    factory: Any = find(kind, name)
    try:
        settings = factory.Settings.model_validate(values)
    except ValidationError as exc:
        lines = [f"{'.'.join(map(str, e['loc']))}  {e['msg']}" for e in exc.errors()]
        raise ConfigError(f"the {kind} {name!r} cannot be set like this", problems=lines) from exc
    try:
        return factory(settings)
    except EditbenchError:
        raise
    except Exception as exc:  # another's code, such as an import of what is not installed
        line = (str(exc).strip().splitlines() or [""])[0]
        raise BackendError(
            f"the {kind} {name!r} cannot be made: {type(exc).__name__}: {line}",
            hint="the fault is in its own code or in what it needs; -v shows where",
        ) from exc


def _offers(kind: Kind) -> list[_Offer]:
    offers: dict[tuple[str, str], _Offer] = {}
    group = f"editbench.{kind}s"
    for name, target in _BUILT_IN[kind].items():
        entry = EntryPoint(name, target, group)
        offers["editbench", name] = _Offer(Listed(name, "editbench", _own_version(), target), entry)
    for entry in entry_points(group=group):
        if entry.dist is not None:
            listed = Listed(entry.name, entry.dist.name, entry.dist.version, entry.value)
            offers.setdefault((entry.dist.name, entry.name), _Offer(listed, entry))
    return list(offers.values())


def _own_version() -> str:
    try:
        return version("editbench")
    except importlib.metadata.PackageNotFoundError:
        return "source"


def _answers_to(listed: Listed, name: str) -> bool:
    return name in (listed.name, f"{listed.distribution}/{listed.name}")


def _unknown(kind: Kind, name: str) -> BackendError:
    known = sorted({listed.name for listed in names(kind)})
    near = get_close_matches(name, known, n=1)
    return BackendError(
        f"there is no {kind} {name!r}" + (f", did you mean {near[0]!r}?" if near else ""),
        hint=f"installed: {', '.join(known) or 'none'}; or write pkg.module:Factory or "
        "file.py:Factory",
    )


def _load_target(target: str) -> Any:
    module, _, attribute = target.rpartition(":")
    if module.endswith(".py"):
        loaded = _guarded(module, lambda: _run_file(Path(module)))
    else:
        loaded = _guarded(module, lambda: importlib.import_module(module))
    try:
        return getattr(loaded, attribute)
    except AttributeError:
        raise BackendError(f"{module} has no {attribute!r}") from None


def _run_file(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    name = f"editbench_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pydantic look their module up by name
    spec.loader.exec_module(module)
    return module


def _guarded(origin: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception as exc:  # another's module may raise anything while it is imported
        line = (str(exc).strip().splitlines() or [""])[0]
        raise BackendError(f"cannot import {origin}: {type(exc).__name__}: {line}") from exc


def _checked(origin: str, factory: Any) -> Factory:
    if not callable(factory) or not hasattr(factory, "Settings"):
        raise BackendError(
            f"{origin} is no backend: it needs to be callable and to have an attribute Settings"
        )
    return factory  # type: ignore[no-any-return]
