"""Decides what is on which device when, and why. Pure: no models, no files, no clock.

Covers the placement of the two models and the order of edit and score phases for the work that is
left. Does not cover how many requests go into one step (see scheduler) or where inside the device a
model lies (see placement).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import partial

from editbench.engine import phases as order
from editbench.engine.hosting import host
from editbench.engine.needs import Fit, Need, Room, price, refusal, weights_of
from editbench.engine.phases import Keep, PhaseStep, Role, Turn, Work
from editbench.engine.placement import aligned
from editbench.engine.plan import Costs, Placement, Plan
from editbench.engine.split import split
from editbench.units import format_bytes


def make_plan(
    work: Work,
    editor: Need,
    judge: Need,
    room: Room,
    *,
    costs: Costs | None = None,
    keep: Keep = "all",
    early_scores: bool = False,
) -> Plan:
    """Return the cheapest way through the work. Raises ``DoesNotFit`` with what would help."""
    costs = costs or Costs()
    if room.judge_device:
        if work.missing and editor.weights and judge.weights:
            one = partial(make_plan, work, costs=costs, keep=keep, early_scores=early_scores)
            return split(one, work, editor, judge, room, costs)
        room = room.of("edit" if work.missing and editor.weights else "score")
    fit = Fit(work, editor, judge, room)
    streamed = fit.streamed
    placement, why = _place(fit, costs)
    capacity = (room.device_bytes or 0) - fit.step
    scoring = ("score",) if judge.weights else ()
    editing = [Turn("", ("edit",) if editor.weights else ())]
    if fit.apart:
        editing = order.turns(editor.parts, capacity=capacity)
    phases: list[PhaseStep] = []
    reasons: list[str] = []
    if placement in ("co-resident", "remote"):
        phases = order.at_once(work, (*editing[0].models, *scoring))
    elif work.missing:
        phases, reasons = order.one_by_one(
            work,
            editing,
            scoring,
            spill_bytes=room.spill_bytes,
            keep=keep,
            early_scores=early_scores,
        )
    elif work.ready:
        phases = [PhaseStep("score", 1, scores=list(work.ready), models=scoring)]
    spill = work.edit_bytes * len(work.missing)
    if keep == "all" and room.spill_bytes is not None and spill > room.spill_bytes:
        reasons.append(
            f"the edits need about {format_bytes(spill)} and {format_bytes(room.spill_bytes)} are "
            "free: the run may stop with a full disk, everything safe"
        )
    sizes = weights_of(editor, judge)
    loads: list[tuple[str, int]] = []
    if streamed:
        loads = order.loads_anew(phases, {**sizes, **_staying(streamed)})
    elif room.device_bytes is not None:
        loads = order.loads(phases, sizes, capacity=capacity)
    moved = sum(size for _, size in loads)
    hosting = host(
        phases,
        sizes,
        loads,
        streamed=streamed,
        memory=room.host_bytes,
        disk=room.file_bytes,
    )
    reasons += filter(None, [hosting.describe()])
    if fit.apart:
        reasons.insert(0, _price(phases, moved, sizes))
    return Plan(
        placement=placement,
        phases=tuple(phases),
        swaps=order.swaps(phases),
        naive_swaps=max(0, 2 * work.unscored - 1),
        bytes_moved=moved,
        spill_bytes=spill,
        state_bytes=work.state_bytes
        * max((len(step.edits) for step in phases if step.part), default=0),
        seconds=_seconds(work, moved, costs),
        needs=(editor, judge),
        room=room,
        hosting=hosting,
        streamed=tuple(streamed),
        reasons=(*why, *reasons),
        loads=tuple(loads),
        costs=costs,
    )


def _place(fit: Fit, costs: Costs) -> tuple[Placement, list[str]]:
    work, editor, judge, room, step = fit.work, fit.editor, fit.judge, fit.room, fit.step
    if not work.missing and not work.ready:
        return "nothing to do", [f"all {work.done} pairs are finished"]
    streamed = fit.streamed
    if hopeless := {role: need for role, need in streamed.items() if not need.streaming}:
        raise refusal(hopeless, step, room)
    whole, part = format_bytes(editor.weights + step), format_bytes(editor.largest_part + step)
    turns = f"its parts take turns, and the largest needs {part}"
    apart = [f"{editor.name} needs {whole} at once and {room}: {turns}"] if fit.apart else []
    if streamed:
        rate = costs.bytes_per_second
        prices = (
            price(role, need, step, room, bytes_per_second=rate) for role, need in streamed.items()
        )
        return "streamed", [*itertools.chain(*prices), *apart]
    if not work.missing:
        return "one model", [f"every edit is stored, so only {judge.name} is needed"]
    if apart:
        return "in parts", apart
    if not editor.weights or not judge.weights:
        free = judge if not judge.weights else editor
        return "remote", [f"{free.name} takes no room on the device, so both phases run at once"]
    both = editor.weights + judge.weights + step
    if room.holds(both):
        size = format_bytes(both)
        return "co-resident", [f"both models fit ({size}), so nothing is ever swapped"]
    return "phased", [f"both models need {format_bytes(both)} and {room}: one at a time"]


def _staying(streamed: Mapping[Role, Need]) -> dict[str, int]:
    """Return the bytes of streamed models that are moved once and stay."""
    return {
        role: need.weights - need.streaming.moved
        for role, need in streamed.items()
        if need.streaming
    }


def _price(phases: Sequence[PhaseStep], moved: int, sizes: Mapping[str, int]) -> str:
    """Say what turns cost beside a device that holds the editor whole."""
    swaps = sum(
        order.changes(before.models, after.models)
        for before, after in itertools.pairwise(phases)
        if before.part and after.part and before.batch == after.batch
    )
    once = sum(aligned(sizes[name]) for name in {name for step in phases for name in step.models})
    again = format_bytes(moved - once) if moved > once else "nothing"
    count = f"{swaps} swap{'s' * (swaps != 1)}"
    return f"that costs {count} between parts, and moves {again} twice"


def _seconds(work: Work, moved: int, costs: Costs) -> float | None:
    edits, scores = len(work.missing), work.unscored
    if (edits and costs.edit is None) or (scores and costs.score is None):
        return None
    total = edits * (costs.edit or 0.0) + scores * (costs.score or 0.0)
    return total + costs.moving(moved)
