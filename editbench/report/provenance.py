"""What two runs were made with: what differs, and whether their scores may be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from editbench.records import Json

if TYPE_CHECKING:
    from editbench.report.result import RunResult

_HOW = ("memory", "run")  #: sections that change how a run is made, not what it finds


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that two runs do not share; None where one does not have it."""

    name: str
    a: Json
    b: Json


def determinants(result: RunResult) -> dict[str, Json]:
    """Return what a run's results depend on, by dotted name: models first, then the rest."""
    known = result.environment
    models = known.get("identities", {})
    settings = {k: v for k, v in result.settings.items() if k not in (*_HOW, *models)}
    rubric = known.get("rubric") or {"name": result.settings.get("judge", {}).get("rubric")}
    whole = {**models, "rubric": rubric, **settings, "versions": known.get("versions", {})}
    return dict(_flat(whole))


def differences(a: RunResult, b: RunResult) -> Iterator[Difference]:
    """Yield what the results of two runs depend on and is not the same."""
    first, second = determinants(a), determinants(b)
    for name in first | second:
        if first.get(name) != second.get(name):
            yield Difference(name, first.get(name), second.get(name))


def doubts(a: RunResult, b: RunResult) -> Iterator[str]:
    """Yield why the scores of two runs may not be comparable, judging by their settings."""
    changed = {difference.name for difference in differences(a, b)}
    if any(name.startswith("judge.") for name in changed):
        yield "the judges differ: the difference is also one of judges"
    if any(name.startswith("rubric.") for name in changed):
        yield "the rubrics differ: the scores mean different things"
    if a.summary["suite"] != b.summary["suite"]:
        yield f"the suites differ: {a.summary['suite']} and {b.summary['suite']}"
    elif "suite.language" in changed:
        yield "the languages of the instructions differ"
    if a.summary["scale"] != b.summary["scale"]:
        yield f"the scales differ: {a.summary['scale']} and {b.summary['scale']}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Json]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
