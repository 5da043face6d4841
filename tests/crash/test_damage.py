"""Files of the store that are damaged between two sessions: found, said, made again."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.crash.sessions import IN_FLIGHT, Instant, Place

pytestmark = pytest.mark.crash


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size * 2 // 3)


def empty(file: Path) -> None:
    os.truncate(file, 0)


def flip(file: Path, *, at: float = 0.7) -> None:
    """Turn one bit over."""
    with file.open("r+b") as stream:
        stream.seek(int(file.stat().st_size * at))
        byte = stream.read(1)[0]
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 4]))


def flip_first(file: Path) -> None:
    flip(file, at=0)


def swap(file: Path) -> None:
    """Put a whole file of another edit in its place."""
    other = next(path for path in values(file.parent.parent) if path != file)
    shutil.copyfile(other, file)


def values(store: Path) -> list[Path]:
    return sorted((store / "values").iterdir())


@pytest.mark.parametrize("spoil", [truncate, empty, flip, flip_first, swap, Path.unlink])
def test_damaged_edits_are_found_said_and_made_again(
    spoil: Callable[[Path], None], place: Place, undisturbed: Place
) -> None:
    damaged = 0
    for edits in (9, 6):
        assert place.killed(Instant("edit", edits))
        for file in values(place.folder / "store")[-2:]:
            spoil(file)
            damaged += 1
    with place.start() as session:
        session.read()
    assert session.code == 0, session.err
    said = session.messages().count("it will be made again")
    assert 2 <= said <= damaged  # the second round may have damaged the same files again
    assert place.outcome() == undisturbed.outcome()
    place.check_store()
    assert sum(n - 1 for n in place.announced.values()) == said
    made = [note.pair for note in place.notes()]
    assert len(made) - len(set(made)) <= place.kills * IN_FLIGHT + said


def back_up(store: Path, copy: Path) -> None:
    with (
        closing(sqlite3.connect(store / "cache.db")) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)


@pytest.mark.parametrize("phase", ["edit", "score"])
def test_an_older_copy_of_the_index_costs_what_it_lacks_and_no_more(
    phase: str, place: Place, undisturbed: Place, tmp_path: Path
) -> None:
    store = place.folder / "store"
    assert place.killed(Instant("edit", 5))
    back_up(store, tmp_path / "old.db")
    assert place.killed(Instant(phase, 9))
    for end in ("", "-wal", "-shm"):
        (store / f"cache.db{end}").unlink(missing_ok=True)
    shutil.copyfile(tmp_path / "old.db", store / "cache.db")
    large = len(values(store))
    session = place.finish()
    assert session.code == 0, session.err
    assert place.outcome() == undisturbed.outcome()
    place.check_store()
    assert "results found again" in session.messages()
    redone = [pair for pair, n in place.announced.items() if n > 1]
    assert all(int(pair.removeprefix("pair-")) % 2 == 0 for pair in redone), "only small ones"
    assert session.count("edit") <= len(undisturbed.announced) - large


@pytest.mark.parametrize("part", [0.0, 0.5, 0.8])
def test_a_broken_index_is_made_again_from_what_is_left(
    part: float, place: Place, undisturbed: Place
) -> None:
    store = place.folder / "store"
    assert place.killed(Instant("score", 3))
    for end in ("-wal", "-shm"):
        (store / f"cache.db{end}").unlink(missing_ok=True)
    os.truncate(store / "cache.db", int((store / "cache.db").stat().st_size * part))
    session = place.finish()
    assert session.code == 0, session.err
    assert place.outcome() == undisturbed.outcome()
    place.check_store()
