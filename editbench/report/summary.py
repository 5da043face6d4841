"""Sums up a run's items: a row for each category and one for all. Holds one float a pair."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from editbench.errors import ResultError
from editbench.records import FAILURES, Json
from editbench.report.statistics import describe

VERSION = 1  #: of the layout of summary.json
PLACES = 6  #: kept of every figure, so that two machines' last bits do not make two summaries


@dataclass(slots=True)
class _Tally:
    scores: array[float] = field(default_factory=lambda: array("d"))
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, other: _Tally) -> None:
        self.scores.extend(other.scores)
        self.failures.update(other.failures)


def summarize(
    items: Iterable[Mapping[str, Any]], *, scale: tuple[float, float] = (0, 10)
) -> dict[str, Json]:
    """Return the summary of items as in ``items.jsonl``: categories in order of appearance.

    Failed pairs are in no mean; they are counted, and ``bounds`` says how low and how high the mean
    could have been with them. Raises ``ResultError`` for a score off the scale.
    """
    tallies: dict[str, _Tally] = {}
    for item in items:
        tally = tallies.setdefault(item["category"], _Tally())
        if item["state"] == "ok":
            tally.scores.append(_score(item, scale))
        else:
            tally.failures[item["state"]] += 1
    total = _Tally()
    for tally in tallies.values():
        total.add(tally)
    return {
        "version": VERSION,
        "scale": list(scale),
        "overall": _row(total, scale),
        "categories": {name: _row(tally, scale) for name, tally in tallies.items()},
    }


def _score(item: Mapping[str, Any], scale: tuple[float, float]) -> float:
    score = item["overall"]
    if not isinstance(score, int | float) or not scale[0] <= score <= scale[1]:
        raise ResultError(
            f"pair {item['id']} is ok with a score of {score}, not {scale[0]:g} to {scale[1]:g}"
        )
    return float(score)


def _row(tally: _Tally, scale: tuple[float, float]) -> dict[str, Json]:
    stats = describe(tally.scores, scale=scale)
    known = [state for state in FAILURES if tally.failures[state]]
    failed = tally.failures.total()
    pairs = stats.n + failed
    sum_ = math.fsum(tally.scores)
    return {
        "pairs": pairs,
        "n": stats.n,
        "coverage": _round(stats.n / pairs) if pairs else None,
        "mean": _round(stats.mean),
        "sd": _round(stats.sd),
        "median": _round(stats.median),
        "min": _round(stats.min),
        "max": _round(stats.max),
        "interval": stats.interval and [_round(end) for end in stats.interval],
        "bounds": [_round((sum_ + failed * end) / pairs) for end in scale] if pairs else None,
        "failures": {state: tally.failures[state] for state in known},
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), PLACES)


class Row(NamedTuple):
    """One line of a result table."""

    name: str
    n: int  #: scored
    failed: int
    mean: float | None
    margin: float | None  #: what stands after ±
    median: float | None
    min: float | None
    max: float | None
    bounds: tuple[float, ...]  #: of the mean, had every failed pair the worst or the best score


def rows(summary: Mapping[str, Any]) -> list[Row]:
    """Return a summary's categories and then ``overall``; nothing for an empty summary."""
    if not summary:
        return []
    named = [*summary["categories"].items(), ("overall", summary["overall"])]
    return [
        Row(
            name,
            row["n"],
            row["pairs"] - row["n"],
            row["mean"],
            margin(row["mean"], row["interval"]),
            row["median"],
            row["min"],
            row["max"],
            tuple(row["bounds"] or ()),
        )
        for name, row in named
    ]


def margin(mean: float | None, interval: Sequence[float] | None) -> float | None:
    """Return what stands after ±: the longer arm, since the scale may clip the other."""
    if mean is None or interval is None:
        return None
    return max(interval[1] - mean, mean - interval[0])
