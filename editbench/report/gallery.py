"""The pairs that a page shows, worst first, as JSON values, and what reading all pairs told."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from editbench.records import Json

if TYPE_CHECKING:
    from editbench.report.album import Album, Pictures
    from editbench.report.result import RunResult

MOST = 5_000  #: pairs in a gallery
NAMED = 50  #: pairs named of each kind of failure
FAILED = float("inf")  #: where pairs without a score stand among scores


@dataclass(slots=True)
class Group:
    """Pairs that failed the same way."""

    state: str
    message: str
    count: int = 0
    pairs: list[str] = field(default_factory=list)  #: the first ``NAMED`` of them


class Told(NamedTuple):
    """What one reading of a run's items tells."""

    scores: Mapping[str, Sequence[float]]  #: by category
    failures: Sequence[Group]  #: the most frequent first
    worst: Mapping[str, float]  #: by pair; ``FAILED`` without a score


def read(result: RunResult) -> Told:
    """Read all items of a run, one number a pair."""
    scores: dict[str, array[float]] = {}
    groups: dict[tuple[str, str], Group] = {}
    by_pair: dict[str, float] = {}
    for item in result.items():
        own = scores.setdefault(item["category"], array("d"))
        if item["state"] == "ok":
            own.append(item["overall"])
            by_pair[item["id"]] = item["overall"]
            continue
        by_pair[item["id"]] = FAILED
        kind = item["state"], item["error"]["message"]
        group = groups.setdefault(kind, Group(*kind))
        group.count += 1
        if group.count <= NAMED:
            group.pairs.append(item["id"])
    failures = sorted(groups.values(), key=lambda group: -group.count)
    return Told(scores, failures, by_pair)


def choose(told: Sequence[Told], *, most: int = MOST) -> list[str]:
    """Return the ids of the pairs to show: those with the worst score in any run, worst first."""
    worst: dict[str, float] = {}
    for one in told:
        for pair, score in one.worst.items():
            worst[pair] = min(score, worst.get(pair, FAILED))
    return heapq.nsmallest(most, worst, key=worst.__getitem__)


def cards(
    results: Sequence[RunResult],
    chosen: Sequence[str],
    album: Album,
    pictures: Sequence[Pictures],
) -> list[dict[str, Json]]:
    """Return the chosen pairs, each with what every run made of it."""
    wanted = set(chosen)
    items = [{i["id"]: i for i in result.items() if i["id"] in wanted} for result in results]
    return [_card(pair, [own.get(pair) for own in items], album, pictures) for pair in chosen]


def _card(
    pair: str,
    items: Sequence[dict[str, Any] | None],
    album: Album,
    pictures: Sequence[Pictures],
) -> dict[str, Json]:
    first = next(item for item in items if item is not None)
    card: dict[str, Json] = {
        "id": pair,
        "category": first["category"],
        "instruction": first["instruction"],
        "extra": first["extra"],
        "runs": [item and _told(item) for item in items],
    }
    for own, item, run in zip(card["runs"], items, pictures, strict=True):
        if item is None:
            continue
        if "before" not in card and (sources := run.sources(pair)):
            places = [album.add(source) for source in sources]
            card["before"], card["more"] = places[0], places[1:]
        edit = run.edit(item)
        own["after"] = None if edit is None else album.add(edit)
    return card


def _told(item: Mapping[str, Any]) -> dict[str, Json]:
    """What one run has to say of a pair."""
    edit = item["edit"]
    return {
        "state": item["state"],
        "score": item["overall"],
        "criteria": item["criteria"],
        "reason": item["reason"],
        "raw": item["raw"],
        "error": item["error"],
        "size": edit and [edit["width"], edit["height"]],
        "seconds": item["seconds"],
    }
