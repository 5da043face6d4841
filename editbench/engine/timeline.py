"""A plan as what follows what: loads, swaps and work, with their bytes and seconds. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from editbench.engine import phases as order
from editbench.engine.phases import PhaseStep
from editbench.engine.plan import Costs, Plan


class Stretch(NamedTuple):
    """One thing that a run does before it does the next."""

    kind: Literal["load", "swap", "edit", "score", "both"]
    what: str  #: models that come to the device, or the part of the edits that is made
    batch: int  #: phase batch, from 1
    items: int  #: edits and scores; 0 for a load or a swap
    bytes: int  #: to the device for a load or a swap, to the disk for edits; estimated
    seconds: float | None  #: estimated; None without measurements


def timeline(plan: Plan) -> list[Stretch]:
    """Return the stretches of a plan in order. Their swaps are the plan's swaps."""
    names = dict(zip(("edit", "score"), (need.name for need in plan.needs), strict=True))
    edit_bytes = plan.spill_bytes // (sum(len(step.edits) for step in plan.phases) or 1)
    loads = list(reversed(plan.loads))
    found: list[Stretch] = []
    split = plan.placement == "split"
    before: tuple[str, ...] | None = None
    for step in plan.phases:
        count, coming = 0, []
        for name in step.models:
            if loads and loads[-1][0] == name:
                size = loads.pop()[1]
                count += size
                if size:
                    role, _, module = name.partition(".")
                    coming.append(module or names[role])
        present = tuple(name for name in step.models if not (split and name == "score"))
        is_swap = before is not None and order.changes(before, present)
        if coming or is_swap:
            kind: Literal["load", "swap"] = "swap" if is_swap else "load"
            rate = plan.costs.bytes_per_second
            seconds = count / rate if rate else None
            found.append(Stretch(kind, ", ".join(coming), step.batch, 0, count, seconds))
        found.append(_work(step, plan.costs, edit_bytes=edit_bytes, at_once=split))
        before = present
    return found


def _work(step: PhaseStep, costs: Costs, *, edit_bytes: int, at_once: bool) -> Stretch:
    edits, scores = len(step.edits), len(step.scores)
    if step.kind == "both":
        scores += edits  # every edit is scored as soon as it is there
    seconds = None
    if not step.part and (costs.edit or not edits) and (costs.score or not scores):
        each = edits * (costs.edit or 0.0), scores * (costs.score or 0.0)
        seconds = max(each) if at_once else sum(each)
    written = 0 if step.part else edits * edit_bytes
    return Stretch(step.kind, step.part, step.batch, edits + scores, written, seconds)
