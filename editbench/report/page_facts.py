"""What a page says of its runs: the values that its templates fill in."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from editbench.report import charts, timeline
from editbench.report.comparison import OVERALL, SAME, Comparison
from editbench.report.gallery import FAILED, Told
from editbench.report.provenance import determinants
from editbench.report.summary import margin

if TYPE_CHECKING:
    from editbench.report.result import RunResult

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  #: of runs side by side


class Point(NamedTuple):
    """A pair's scores in two runs."""

    id: str
    a: float
    b: float


def of_run(letter: str, result: RunResult, told: Told) -> dict[str, Any]:
    """What the page says of one run."""
    summary, known = result.summary, result.environment
    overall = summary["overall"]
    found = timeline.sessions(result.events())
    plans = [event for event in result.events() if event.get("event") == "plan"]
    spans = [span for session in found for span in session.spans]
    return {
        "letter": letter,
        "name": result.name,
        **{key: summary[key] for key in ("suite", "editor", "judge", "notes")},
        "overall": overall,
        "categories": summary["categories"],
        "margin": margin(overall["mean"], overall["interval"]),
        "failed": overall["pairs"] - overall["n"],
        "failures": told.failures,
        "sessions": found,
        "totals": timeline.totals(found),
        "seconds": sum(session.seconds for session in found),
        "other": sum(session.other() for session in found),
        "swaps": sum(span.lane == "swap" and "→" in span.label for span in spans),
        "plan": plans[0] if plans else None,
        "date": known.get("written", "")[:10],
        "command": _command(known.get("command", ())),
        "settings_text": result.settings_text,
        "determinants": determinants(result),
        "machine": known.get("machine", {}),
    }


def _command(words: Sequence[str]) -> str:
    """Return what was typed, without where this machine keeps it."""
    if not words:
        return ""
    program = PurePath(words[0]).name
    return shlex.join(["editbench" if program == "__main__.py" else program, *words[1:]])


def warnings(runs: Sequence[Mapping[str, Any]], *, several: bool) -> Iterator[str]:
    yield from dict.fromkeys(note for run in runs for note in run["notes"])
    for run in runs:
        if run["failed"]:
            low, high = run["overall"]["bounds"]
            kinds = ", ".join(
                f"{count} {state.replace('_', ' ')}"
                for state, count in run["overall"]["failures"].items()
            )
            yield (
                f"{run['letter'] + ': ' if several else ''}{run['failed']} of "
                f"{run['overall']['pairs']} pairs have no score ({kinds}). "
                f"With them the mean could be anything from {low:.2f} to {high:.2f}."
            )


def of_categories(
    runs: Sequence[Mapping[str, Any]], told: Sequence[Told], scale: charts.Scale
) -> list[dict[str, Any]]:
    """Return the lines of the table, grouped: a line for each run that has the category."""
    names = dict.fromkeys(name for run in runs for name in run["categories"])
    groups = [
        {"name": name, "overall": False, "lines": _lines(name, runs, told, scale)} for name in names
    ]
    return [*groups, {"name": OVERALL, "overall": True, "lines": _lines(None, runs, told, scale)}]


def _lines(
    name: str | None, runs: Sequence[Mapping[str, Any]], told: Sequence[Told], scale: charts.Scale
) -> list[dict[str, Any]]:
    """Return a category's line for each run; those of all pairs for None."""
    lines = []
    for run, one in zip(runs, told, strict=True):
        row = run["overall"] if name is None else run["categories"].get(name)
        if row is None:
            continue
        scores = (
            [x for own in one.scores.values() for x in own] if name is None else one.scores[name]
        )
        lines.append(
            {
                "letter": run["letter"],
                "row": row,
                "margin": margin(row["mean"], row["interval"]),
                "failed": row["pairs"] - row["n"],
                "bins": charts.histogram(scores, scale),
            }
        )
    return lines


def of_difference(
    found: Comparison, letter: str, first: Told, other: Told, shown: set[str]
) -> dict[str, Any]:
    """What the page says of two runs side by side; points are of the pairs in the gallery."""
    ends = [abs(end) for row in found.rows() for end in (row.difference, *(row.interval or ()))]
    points = [
        Point(pair, score, other.worst[pair])
        for pair, score in first.worst.items()
        if pair in shown and score != FAILED and other.worst.get(pair, FAILED) != FAILED
    ]
    return {
        "a": LETTERS[0],
        "b": letter,
        "comparison": found,
        "reach": max([*ends, SAME]),
        "points": points,
    }
