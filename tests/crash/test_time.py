"""Sessions that stand still for a while, and clocks that jump."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise

import pytest

from tests.crash.models import CLOCK
from tests.crash.sessions import Instant, Place

pytestmark = pytest.mark.crash

PAUSE = float(os.environ.get("EDITBENCH_CRASH_PAUSE", "2"))  #: seconds
DAY = 86_400


def test_a_session_that_was_stopped_for_a_while_goes_on(place: Place, undisturbed: Place) -> None:
    with place.start() as session:
        for moment in ("load", "edit", "score"):
            assert session.until(moment)
            session.send(signal.SIGSTOP)
            time.sleep(PAUSE / 3)
            session.send(signal.SIGCONT)
        session.read()
    assert session.code == 0, session.err
    assert place.outcome() == undisturbed.outcome()
    assert place.check_work() == 0


@pytest.mark.parametrize("jump", [-DAY, DAY], ids=["back", "forward"])
def test_a_clock_that_jumps_changes_nothing(jump: int, place: Place, undisturbed: Place) -> None:
    with place.start(env={CLOCK: str(jump)}) as session:
        assert session.until("score", 4)
        session.send(signal.SIGKILL)
        session.read()
    place.kills += 1
    times = [event["time"] for event in session.events]
    assert max(abs(b - a) for a, b in pairwise(times)) > DAY / 2
    assert place.killed(Instant("score", 2))  # by the right clock again
    assert place.finish().code == 0
    assert place.outcome() == undisturbed.outcome()
    place.check_store()
    place.check_work()
