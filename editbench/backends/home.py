"""Where editbench keeps what it builds for itself, apart from any run."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def home() -> Path:
    """Return the folder: ``$EDITBENCH_HOME``, else editbench's place in the user's cache folder."""
    if own := os.environ.get("EDITBENCH_HOME"):
        return Path(own).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "editbench"


@contextmanager
def remembered(name: str) -> Iterator[dict[str, str]]:
    """Lend a small dictionary that is kept in the home folder; additions are saved on the way out.

    It only saves time: a file that cannot be read is an empty one, and one that cannot be written
    is left alone.
    """
    path = home() / f"{name}.json"
    notes: dict[str, str] = {}
    with suppress(OSError, ValueError):
        notes = dict(json.loads(path.read_text(encoding="utf-8")))
    before = dict(notes)
    try:
        yield notes
    finally:  # what was found before an error is true, too
        if notes != before:
            with suppress(OSError):
                _write(path, json.dumps(notes, indent=0, sort_keys=True))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
