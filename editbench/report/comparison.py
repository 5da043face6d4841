"""Compares two runs over the pairs that both scored: what changed, and how sure that is.

Differences are those of the second run, ``b``, from the first: above 0 means that ``b`` is better.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from editbench.errors import ResultError
from editbench.records import Json
from editbench.report.provenance import Difference, differences, doubts
from editbench.report.statistics import bootstrap

if TYPE_CHECKING:
    from editbench.report.result import RunResult

OVERALL = "overall"
CHANGES = 10  #: pairs listed
SAME = 1e-9  #: scores that are closer than this are a tie


@dataclass(frozen=True, slots=True)
class Contrast:
    """One line of a comparison: a category, or all pairs that both runs scored."""

    name: str
    n: int
    a: float  #: mean of the first run over these pairs
    b: float
    difference: float
    interval: tuple[float, float] | None  #: of the difference, 95 %, paired bootstrap
    wins: int  #: pairs with a higher score in the second run
    ties: int
    losses: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True, slots=True)
class Change:
    """A pair's scores in both runs."""

    id: str
    category: str
    instruction: str
    a: float
    b: float

    @property
    def difference(self) -> float:
        return self.b - self.a


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side."""

    a: str  #: name of the first run
    b: str
    scale: tuple[float, float]
    categories: tuple[Contrast, ...]
    overall: Contrast | None  #: None where no pair was scored by both
    changes: tuple[Change, ...]  #: the pairs whose score moved most
    unscored: tuple[int, int]  #: common pairs that only the other run scored
    settings: tuple[Difference, ...]  #: what else than the results differs
    warnings: tuple[str, ...]  #: why the difference may not mean what it seems to

    def rows(self) -> tuple[Contrast, ...]:
        """Return the categories and, last, all pairs."""
        return self.categories + ((self.overall,) if self.overall else ())

    def as_json(self) -> dict[str, Json]:
        """Return the comparison as JSON values."""
        return asdict(self)

    def to_markdown(self) -> str:
        """Return the comparison as Markdown."""
        from editbench.report.comparison_text import render

        return render(self)


def compare(a: RunResult, b: RunResult) -> Comparison:
    """Pair the common pairs of two finished runs. Raises ``ResultError``.

    Holds one row a pair of the first run; items of the second are read as a stream.
    """
    for result in (a, b):
        result.must_be_finished()
    read = _Reading(a)
    for item in b.items():
        read.add(item)
    if not read.common:
        raise ResultError(
            f"{a.name} and {b.name} have no pair in common",
            hint="compare runs of the same suite",
        )
    return Comparison(
        a.name,
        b.name,
        (a.summary["scale"][0], a.summary["scale"][1]),
        tuple(_contrast(name, scores) for name, scores in read.scores.items()),
        _contrast(OVERALL, [two for scores in read.scores.values() for two in scores])
        if read.scores
        else None,
        tuple(entry.change for entry in sorted(read.changes, reverse=True)),
        (read.only_b, read.only_a),
        tuple(differences(a, b)),
        (*doubts(a, b), *read.doubts()),
    )


class _Known(NamedTuple):
    score: float | None
    text: int  #: hash of what the pair asks


class _Entry(NamedTuple):
    size: float
    order: int
    change: Change


@dataclass(slots=True)
class _Reading:
    """What two streams of items come to."""

    a: RunResult
    known: dict[str, _Known] = field(default_factory=dict)
    scores: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    changes: list[_Entry] = field(default_factory=list)
    common: int = 0
    strangers: int = 0  #: pairs of the second run only
    changed: int = 0  #: pairs that ask for something else under the same id
    only_a: int = 0
    only_b: int = 0

    def __post_init__(self) -> None:
        for item in self.a.items():
            self.known[item["id"]] = _Known(_score(item), _text(item))

    def add(self, item: Mapping[str, Any]) -> None:
        """Take one item of the second run."""
        known = self.known.get(item["id"])
        if known is None:
            self.strangers += 1
            return
        self.common += 1
        if known.text != _text(item):
            self.changed += 1
            return
        a, b = known.score, _score(item)
        if a is None or b is None:
            self.only_a += a is not None
            self.only_b += b is not None
            return
        self.scores.setdefault(item["category"], []).append((a, b))
        if abs(a - b) > SAME:
            change = Change(item["id"], item["category"], item["instruction"], a, b)
            entry = _Entry(abs(a - b), -self.common, change)
            keep = heapq.heappush if len(self.changes) < CHANGES else heapq.heappushpop
            keep(self.changes, entry)

    def doubts(self) -> Iterator[str]:
        """Yield what the pairs themselves say against comparing their means."""
        missing = len(self.known) - self.common
        if missing or self.strangers:
            yield f"pairs in one run only: {missing} in a, {self.strangers} in b"
        if self.changed:
            yield f"pairs left out, as one id asks for different things: {self.changed}"
        if self.only_a or self.only_b:
            yield f"pairs left out, as only one run scored them: {self.only_a} a, {self.only_b} b"


def _score(item: Mapping[str, Any]) -> float | None:
    return float(item["overall"]) if item["state"] == "ok" else None


def _text(item: Mapping[str, Any]) -> int:
    return hash((item["category"], item["instruction"]))


def _contrast(name: str, scores: Sequence[tuple[float, float]]) -> Contrast:
    n = len(scores)
    moved = [b - a for a, b in scores]
    wins = sum(by > SAME for by in moved)
    losses = sum(by < -SAME for by in moved)
    return Contrast(
        name,
        n,
        math.fsum(a for a, _ in scores) / n,
        math.fsum(b for _, b in scores) / n,
        math.fsum(moved) / n,
        bootstrap(moved),
        wins,
        n - wins - losses,
        losses,
    )
