"""Where a run's time went: loads, swaps and phases, session by session. Pure.

Reads the lines of ``events.jsonl``. Kinds of events that it does not know are only signs of life.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

LANES = ("load", "swap", "edit", "score")
_TIMED = ("load", "swap")  #: events that say at their end how long they took


class Span(NamedTuple):
    """Something that took time. Seconds since the session began."""

    lane: str
    start: float
    end: float
    label: str
    bytes: int = 0


class Total(NamedTuple):
    """One lane over all sessions."""

    lane: str
    times: int
    seconds: float
    bytes: int


@dataclass(slots=True)
class Session:
    """One go at a run, from its start to its end, or to where it was cut off."""

    began: float  #: seconds since the epoch
    seconds: float = 0.0
    status: str = "cut off"
    spans: list[Span] = field(default_factory=list)

    def other(self) -> float:
        """Return the seconds in which no lane has anything."""
        covered = reached = 0.0
        for span in sorted(self.spans, key=lambda span: span.start):
            covered += max(0.0, span.end - max(span.start, reached))
            reached = max(reached, span.end)
        return max(0.0, self.seconds - covered)


def sessions(events: Iterable[Mapping[str, Any]]) -> list[Session]:
    """Return the sessions of a run in which something was loaded, moved, edited or scored."""
    found: list[Session] = []
    open_phases: dict[str, Span] = {}
    for event in events:
        kind, now = event.get("event"), float(event.get("time", 0))
        if kind == "run.start":
            _cut(found, open_phases)
            found.append(Session(now))
        if not found:
            continue
        session = found[-1]
        session.seconds = at = max(session.seconds, now - session.began)
        if kind in _TIMED:
            start = max(0.0, at - float(event["seconds"]))
            names = filter(None, (event.get("old"), event.get("new"), event.get("model")))
            session.spans.append(Span(kind, start, at, " → ".join(names), int(event["bytes"])))
        elif kind == "phase.start":
            label = f"batch {event['batch']}, {event['items']} pairs"
            open_phases[event["phase"]] = Span(event["phase"], at, at, label)
        elif kind == "phase" and (begun := open_phases.pop(event["phase"], None)):
            session.spans.append(begun._replace(end=at))
        elif kind == "run.end":
            session.status = event["status"]
    _cut(found, open_phases)
    return [session for session in found if session.spans]


def _cut(found: list[Session], open_phases: dict[str, Span]) -> None:
    """End the phases of a session that stopped in the midst of them."""
    for span in open_phases.values():
        found[-1].spans.append(span._replace(end=found[-1].seconds))
    open_phases.clear()


def totals(all_sessions: Iterable[Session]) -> list[Total]:
    """Return what each lane took, those that took nothing left out."""
    spans = [span for session in all_sessions for span in session.spans]
    lanes = {lane: [span for span in spans if span.lane == lane] for lane in LANES}
    return [
        Total(lane, len(own), sum(s.end - s.start for s in own), sum(s.bytes for s in own))
        for lane, own in lanes.items()
        if own
    ]
