from __future__ import annotations

from typing import Any

from editbench.report.timeline import Span, sessions, totals


def at(time: float, kind: str, **about: Any) -> dict[str, Any]:
    return {"event": kind, "time": 1000 + time, **about}


RUN = [
    at(0, "run.start"),
    at(2, "load", model="editor", bytes=100, seconds=2.0),
    at(3, "swap", old="", new="editor", bytes=100, seconds=1.0),
    at(3, "phase.start", phase="edit", batch=1, items=4),
    at(5, "a kind of tomorrow"),
    at(7, "phase", phase="edit", batch=1),
    at(9, "swap", old="editor", new="judge", bytes=50, seconds=0.5),
    at(9, "phase.start", phase="score", batch=1, items=4),
]
END = [at(12, "phase", phase="score", batch=1), at(12, "run.end", status="ok")]


def test_a_session_has_a_span_for_all_that_took_time() -> None:
    (session,) = sessions([*RUN, *END])
    assert (session.began, session.seconds, session.status) == (1000, 12, "ok")
    assert session.spans == [
        Span("load", 0, 2, "editor", 100),
        Span("swap", 2, 3, "editor", 100),
        Span("edit", 3, 7, "batch 1, 4 pairs"),
        Span("swap", 8.5, 9, "editor → judge", 50),
        Span("score", 9, 12, "batch 1, 4 pairs"),
    ]
    assert session.other() == 1.5


def test_a_session_that_was_cut_off_ends_with_its_last_sign_of_life() -> None:
    again = [event | {"time": event["time"] + 100} for event in [*RUN, *END]]
    first, second = sessions([*RUN, at(10, "edit"), *again])
    assert (first.status, first.seconds, second.status) == ("cut off", 10, "ok")
    assert first.spans[-1] == Span("score", 9, 10, "batch 1, 4 pairs")
    assert [(total.lane, total.times, total.seconds) for total in totals([first, second])] == [
        ("load", 2, 4),
        ("swap", 4, 3),
        ("edit", 2, 8),
        ("score", 2, 4),
    ]


def test_what_happens_at_once_is_covered_once() -> None:
    both = [
        at(0, "run.start"),
        at(0, "phase.start", phase="edit", batch=1, items=1),
        at(1, "phase.start", phase="score", batch=1, items=1),
        at(4, "phase", phase="edit", batch=1),
        at(6, "phase", phase="score", batch=1),
        at(8, "run.end", status="ok"),
    ]
    assert sessions(both)[0].other() == 2


def test_sessions_that_found_nothing_to_do_are_left_out() -> None:
    assert sessions([at(0, "run.start"), at(1, "run.end", status="ok")]) == []
    assert sessions([]) == []
