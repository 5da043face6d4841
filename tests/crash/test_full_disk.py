"""Disks that fill up, or that turn read-only, under a run."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.mounts import Disk, memory_disk, mounted
from tests.crash.sessions import Instant, Place

pytestmark = pytest.mark.crash

SIZE = 20_000_000
FULL = 4  #: exit code


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(memory_disk(tmp_path / "disk", SIZE)) as disk:
        yield disk


@pytest.fixture
def place(suite: Path, tmp_path: Path, disk: Disk) -> Place:
    return Place(tmp_path / "loud", suite, store=disk.path / "store")


def test_on_a_disk_that_is_too_small_a_run_stops_and_goes_on_with_more(
    place: Place, undisturbed: Place, disk: Disk
) -> None:
    filler = disk.fill("filler", SIZE - 1_500_000)
    session = place.finish()
    assert session.code == FULL
    assert 0 < session.count("edit") == session.count("score") < len(undisturbed.announced)
    assert re.search(r"to go on: editbench resume \S+", session.err)
    assert f"{session.count('edit')} of 24 edits and" in session.err
    again = place.finish()  # there is a little more room, now that the first one's log is folded in
    assert again.code == FULL
    assert again.count("edit") == again.count("score") <= session.count("edit")
    filler.unlink()
    assert place.finish().code == 0
    assert place.outcome() == undisturbed.outcome()
    place.check_store()
    # What the device had made when the disk was full is made again, as after a kill.
    place.check_work(kills=2)


@pytest.mark.parametrize("moment", ["edit", "score"])
def test_a_disk_that_someone_else_fills_loses_nothing(
    moment: str, place: Place, undisturbed: Place, disk: Disk
) -> None:
    with place.start() as session:
        assert session.until(moment, 6)
        session.send(signal.SIGSTOP)
        filler = disk.fill("filler")
        session.send(signal.SIGCONT)
        session.read()
    assert session.code == FULL, session.err
    assert "full" in session.err or "no room" in session.err
    filler.unlink()
    assert place.finish().code == 0
    assert place.outcome() == undisturbed.outcome()
    place.check_store()
    place.check_work(kills=1)


def test_a_store_that_can_only_be_read_still_gives_its_results(
    place: Place, undisturbed: Place, disk: Disk
) -> None:
    assert place.finish().code == 0
    (place.results / "summary.json").unlink()
    disk.remount("ro")
    session = place.finish()
    assert session.code == 0, session.err
    assert "can only be read" in session.messages()
    assert place.outcome() == undisturbed.outcome()


def test_a_store_that_can_only_be_read_stops_what_is_left_to_do(
    place: Place, undisturbed: Place, disk: Disk
) -> None:
    assert place.killed(Instant("edit", 6))
    disk.remount("ro")
    session = place.finish()
    assert session.code == FULL
    assert "can only be read" in session.err
    disk.remount("rw")
    assert place.finish().code == 0
    assert place.outcome() == undisturbed.outcome()
    place.check_work()
