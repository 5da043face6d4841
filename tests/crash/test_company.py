"""Two processes at once: on one store they share, on one run they take turns."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.crash.models import STEP
from tests.crash.sessions import IN_FLIGHT, PAIRS, Instant, Place

pytestmark = pytest.mark.crash

SLOW = 0.08  #: seconds of a step
MOST = 18  #: results that the first run adds while the second one stands still


def pair_of_runs(undisturbed: Place, tmp_path: Path) -> tuple[Place, Place]:
    first, second = (
        Place(tmp_path / name, undisturbed.suite, store=tmp_path / "store") for name in "ab"
    )
    return first, second


def test_what_a_run_has_stored_meanwhile_the_other_does_not_do_again(
    undisturbed: Place, tmp_path: Path
) -> None:
    first, second = pair_of_runs(undisturbed, tmp_path)
    known: dict[str, set[str]] = {}
    with first.start() as one:
        assert one.until("edit")
        with second.start() as two:
            for kind in ("edit", "score"):
                assert two.until("phase.start")  # its plan has nearly every pair in it
                two.send(signal.SIGSTOP)
                assert one.until(kind, MOST)
                known[kind] = {e["pair"] for e in one.events if e["event"] == kind}
                two.send(signal.SIGCONT)
            one.read()
            two.read()
    assert (one.code, two.code) == (0, 0), one.err + two.err
    for place in (first, second):
        assert place.outcome() == undisturbed.outcome()
        place.check_store()
        place.check_work()
    for kind, pairs in known.items():
        done = [note.pair for note in second.notes(kind)]
        begun_before = IN_FLIGHT  # a signal takes a moment
        assert len(pairs & set(done)) <= begun_before
        assert len(done) <= PAIRS - len(pairs) + begun_before


def test_two_runs_that_start_together_finish_alike_and_share_the_work(
    undisturbed: Place, tmp_path: Path
) -> None:
    first, second = pair_of_runs(undisturbed, tmp_path)
    slow = {STEP: str(SLOW)}
    with first.start(env=slow) as one, second.start(env=slow) as two:
        one.read()
        two.read()
    for kind in ("edit", "score"):
        done = [note.pair for place in (first, second) for note in place.notes(kind)]
        assert len(set(done)) == PAIRS
        # What the first had in hand before it noticed that it was not alone any more.
        assert len(done) <= PAIRS + IN_FLIGHT
        assert min(len(first.notes(kind)), len(second.notes(kind))) >= PAIRS // 4
    assert (one.code, two.code) == (0, 0), one.err + two.err
    assert first.outcome() == second.outcome() == undisturbed.outcome()
    first.check_store()
    first.check_work()
    second.check_work()


def test_a_killed_neighbor_harms_nobody(undisturbed: Place, tmp_path: Path) -> None:
    first, second = pair_of_runs(undisturbed, tmp_path)
    with first.start() as one:
        assert one.until("edit", 2)
        assert second.killed(Instant("edit", 3))
        assert second.killed(Instant("score", 2)) or second.results.exists()
        one.read()
    assert one.code == 0, one.err
    assert second.finish().code == 0
    assert first.outcome() == second.outcome() == undisturbed.outcome()
    first.check_store()


def test_a_run_in_progress_names_its_holder_and_is_left_alone(
    place: Place, undisturbed: Place
) -> None:
    with place.start() as holder:
        assert holder.until("edit", 2)
        holder.send(signal.SIGSTOP)
        late = place.finish()
        holder.send(signal.SIGCONT)
        holder.read()
    assert late.code == 4
    assert f"pid {holder.pid}" in late.err
    assert holder.code == 0
    assert place.outcome() == undisturbed.outcome()


def test_a_lock_whose_holder_was_killed_is_taken_over_and_said(place: Place) -> None:
    with place.start() as holder:
        assert holder.until("edit", 2)
        holder.send(signal.SIGKILL)
        holder.read()
    session = place.finish()
    assert session.code == 0
    assert f"was cut off (pid {holder.pid}" in session.messages()
    assert "was cut off" not in place.finish().messages()
