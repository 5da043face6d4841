"""Finds a suite by path or name."""

from __future__ import annotations

import difflib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import cast

from editbench.errors import SuiteError
from editbench.suites.demo import DemoSuite
from editbench.suites.five import FiveSuite
from editbench.suites.look import Language, Suite
from editbench.suites.table import TableSuite

GROUP = "editbench.suites"  #: entry points: name -> callable(*, language) -> Suite
_TABLES = ("pairs.jsonl", "pairs.csv")


def open_suite(path: str, *, language: Language = "en") -> Suite:
    """Return the suite at a path, or of a name: ``demo``, or one that a package offers.

    A path is a ``.json`` (five categories), ``.jsonl`` or ``.csv`` file, or a folder with a
    ``pairs.jsonl`` or ``pairs.csv``. Raises ``SuiteError``.
    """
    if path == "demo":
        return DemoSuite(language=language)
    file = Path(path).expanduser()
    if not file.exists():
        return _plugin(path, language)
    if file.is_dir():
        file = _table_in(file)
    match file.suffix.lower():
        case ".json":
            return FiveSuite(file, language=language)
        case ".jsonl" | ".csv":
            return TableSuite(file, language=language)
        case suffix:
            raise SuiteError(
                f"{path}: {suffix or 'a file without a suffix'} is no format of a suite",
                hint="known are .json, .jsonl and .csv",
            )


def _table_in(folder: Path) -> Path:
    found = [folder / name for name in _TABLES if (folder / name).is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        raise SuiteError(f"{folder} has both {' and '.join(_TABLES)}", hint="name one of them")
    raise SuiteError(
        f"{folder} has neither {' nor '.join(_TABLES)}{_near(folder / _TABLES[0])}",
        hint="name the file of the suite itself",
    )


def _plugin(name: str, language: Language) -> Suite:
    """Load the one entry point of this name."""
    found = tuple(entry_points(group=GROUP, name=name))
    if not found:
        raise SuiteError(
            f"there is no suite {name}{_near(Path(name))}",
            hint="give a .json, .jsonl or .csv file, a folder, or 'demo'",
        )
    if len(found) > 1:
        packages = " and ".join(sorted(map(_package, found)))
        raise SuiteError(f"two packages offer a suite {name}: {packages}", hint="remove one")
    try:
        factory = found[0].load()
    except Exception as exc:  # whatever a foreign package does on import
        raise SuiteError(
            f"the suite {name} of {_package(found[0])} cannot be loaded: {exc!r}"
        ) from exc
    return cast(Suite, factory(language=language))


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.module


def _near(missing: Path) -> str:
    """Return what may have been meant by a path that is not there."""
    try:
        names = [entry.name for entry in missing.parent.iterdir()]
    except OSError:
        return f" (nor a folder {missing.parent})"
    names += ["demo", *(point.name for point in entry_points(group=GROUP))]
    near = difflib.get_close_matches(missing.name, names, n=3, cutoff=0.5)
    if not near:
        return ""
    folder = missing.parent
    meant = (str(folder / name) if (folder / name).exists() else name for name in near)
    return f", did you mean {' or '.join(meant)}?"
