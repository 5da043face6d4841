"""``kill -9`` at every kind of instant, and the same command again."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from editbench.engine.store import Store
from tests.crash import points
from tests.crash.sessions import PAIRS, Instant, Place
from tests.runs import results

pytestmark = pytest.mark.crash

ROUNDS = int(os.environ.get("EDITBENCH_CRASH_ROUNDS", "60"))
MOST = 6  #: kills of one run; then it is let finish
ONCE = ("run.start", "plan", "load.start", "load", "swap.start", "swap", "phase", "run.end")
MANY = ("edit", "score")
BATCH = 3  #: fits into what is in flight at most


def instants(chance: random.Random) -> Iterator[Instant]:
    """Yield instants for ever: each of those with a name once, then any time at all, and again."""
    while True:
        named = [Instant(name) for name in (*ONCE, *points.NAMES)]
        named += [Instant(name, chance.randint(1, PAIRS // 3)) for name in (*MANY, *MANY)]
        any_time = [Instant("", later=chance.uniform(0, 1.2)) for _ in range(4)]
        after = [Instant(name, 1, chance.uniform(0, 0.1)) for name in (*ONCE, *MANY)]
        found = named + any_time + after
        chance.shuffle(found)
        yield from found


def test_killed_at_any_instant_a_run_ends_as_if_nothing_had_happened(
    undisturbed: Place, tmp_path: Path
) -> None:
    expected = undisturbed.outcome()
    waiting = instants(random.Random(ROUNDS))
    killed: Counter[str] = Counter()
    runs = twice = 0
    while killed.total() < ROUNDS:
        runs += 1
        place = Place(tmp_path / str(runs), undisturbed.suite)
        for _ in range(MOST):
            instant = next(waiting)
            if not place.killed(instant):  # it ended before that
                break
            killed[instant.name or "any time"] += 1
        else:
            assert place.finish().code == 0
        assert place.outcome() == expected, f"run {runs}"
        place.check_store()
        twice += place.check_work()
    print(f"\n{killed.total()} kills in {runs} runs: {dict(killed)}; made twice: {twice} edits")


@pytest.mark.parametrize("name", [*ONCE, *MANY, *points.NAMES])
def test_every_kind_of_instant_is_reached(name: str, place: Place, undisturbed: Place) -> None:
    assert place.killed(Instant(name))
    assert place.finish().code == 0
    assert place.outcome() == undisturbed.outcome()
    place.check_work()


def test_killed_in_the_middle_of_a_batch_a_run_ends_as_if_nothing_had_happened(
    undisturbed: Place, tmp_path: Path
) -> None:
    whole = Place(tmp_path / "whole", undisturbed.suite, batch=BATCH)
    assert whole.finish().code == 0
    assert whole.store is not None
    with Store.open(whole.store, read_only=True) as store:
        made = [header["provenance"]["batch"] for _, header in store.headers("e:")]
    assert max(made) == BATCH
    for name in ("in edit", "edit", "in ask", "score"):
        place = Place(tmp_path / name, undisturbed.suite, batch=BATCH)
        for count in (1, 2, 3):
            assert place.killed(Instant(name, count)), f"{name} {count}"
        assert place.finish().code == 0
        assert place.outcome() == whole.outcome(), name
        place.check_store()
        place.check_work()


def test_killed_while_two_devices_work_a_run_ends_as_if_nothing_had_happened(
    undisturbed: Place, tmp_path: Path
) -> None:
    for name in ("load", "in edit", "edit", "in ask", "score", "phase"):
        place = Place(tmp_path / name, undisturbed.suite, devices="cpu,cpu")
        for count in (1, 2) if name in ("edit", "score") else (1,):
            assert place.killed(Instant(name, count)), f"{name} {count}"
        assert place.finish().code == 0
        assert results(place.results) == results(undisturbed.results), name  # settings differ
        place.check_store()
        place.check_work()
