"""``kill -9`` in every part of edits that are made in parts, and the same command again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from editbench.engine.states import PREFIX
from editbench.engine.store import Store
from tests.crash.models import WEIGHTS
from tests.crash.points import IN_PART
from tests.crash.sessions import IN_FLIGHT, PAIRS, Instant, Place

pytestmark = pytest.mark.crash

INSTANTS = (
    *(Instant(IN_PART, count) for count in (1, PAIRS // 2, PAIRS + 1, 2 * PAIRS)),
    *(Instant("part", count) for count in (1, PAIRS - 1, PAIRS, PAIRS + 3, 2 * PAIRS)),
    *(Instant("part", 5, 0.02), Instant("part", PAIRS + 5, 0.02), Instant("edit", 3, 0.01)),
    *(Instant("in edit", 4), Instant("edit", 1), Instant("edit", PAIRS)),
    *(Instant(name, count) for name in ("create", "sync", "synced") for count in (7, 40, 60)),
)


@pytest.fixture(scope="module")
def whole(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A run that nothing happened to, on a device that holds the editor whole."""
    place = Place(
        tmp_path_factory.mktemp("whole"), suite, editor="PartedEditor", device=2 * WEIGHTS
    )
    session = place.finish()
    assert session.code == 0, session.err
    assert (session.events[-1]["swaps"], session.count("part")) == (1, 0)
    return place


def left(place: Place) -> list[str]:
    assert place.store is not None
    with Store.open(place.store, read_only=True) as store:
        return [key for key, _ in store.headers(PREFIX)]


def again(place: Place, part: str) -> int:
    """How many pairs went through a part a second time."""
    made = Counter(note.pair for note in place.notes(part))
    return made.total() - len(made)


def test_a_run_in_parts_ends_like_one_that_never_heard_of_them(
    suite: Path, whole: Place, tmp_path: Path
) -> None:
    place = Place(tmp_path, suite, editor="PartedEditor")
    session = place.finish()
    assert session.code == 0, session.err
    assert (session.events[-1]["swaps"], session.count("part")) == (2, 2 * PAIRS)
    assert place.outcome()[0] == whole.outcome()[0]
    assert [again(place, part) for part in ("encode", "denoise", "edit")] == [0, 0, 0]
    assert left(place) == []
    place.check_store()


@pytest.mark.parametrize("instant", INSTANTS, ids=str)
def test_killed_in_a_part_a_run_goes_on_from_there(
    suite: Path, whole: Place, tmp_path: Path, instant: Instant
) -> None:
    place = Place(tmp_path, suite, editor="PartedEditor")
    assert place.killed(instant)
    assert place.finish().code == 0
    assert place.outcome()[0] == whole.outcome()[0]
    parts = [again(place, part) for part in ("encode", "denoise", "edit")]
    assert sum(parts) <= IN_FLIGHT
    assert left(place) == []
    place.check_store()


def test_killed_in_each_part_in_turn_a_run_ends_all_the_same(
    suite: Path, whole: Place, tmp_path: Path
) -> None:
    place = Place(tmp_path, suite, editor="PartedEditor")
    for instant in (*(Instant(IN_PART, 10),) * 4, Instant("in edit", 6), Instant("in ask", 3)):
        assert place.killed(instant)
    assert place.finish().code == 0
    assert place.outcome()[0] == whole.outcome()[0]
    assert left(place) == []
