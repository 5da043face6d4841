"""The plan if each model has a device of its own, made of a plan for each device. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from editbench.engine.hosting import host
from editbench.engine.needs import Need, Room, weights_of
from editbench.engine.phases import Work
from editbench.engine.plan import Costs, Plan


def split(
    one: Callable[[Need, Need, Room], Plan],
    work: Work,
    editor: Need,
    judge: Need,
    room: Room,
    costs: Costs,
) -> Plan:
    """Return the plan. ``one`` plans for one device, where the other's model takes nothing."""
    alone = replace(room, host_bytes=None, file_bytes=None)  # they share those
    editing = one(editor, Need(judge.name, 0), alone.of("edit"))
    scoring = one(Need(editor.name, 0), judge, alone.of("score"))
    phases = [
        replace(step, models=(*step.models, "score")) if step.kind == "both" else step
        for step in editing.phases
    ]
    before = sum(len(step.models) for step in editing.phases if step.kind == "edit")
    first = before + len(next(step for step in editing.phases if step.kind == "both").models)
    loads = [*editing.loads[:first], *scoring.loads, *editing.loads[first:]]
    moved = editing.bytes_moved + scoring.bytes_moved
    streamed = (*editing.streamed, *scoring.streamed)
    hosting = host(
        phases,
        weights_of(editor, judge),
        loads,
        streamed=streamed,
        memory=room.host_bytes,
        disk=room.file_bytes,
    )
    reasons = ["each model has a device of its own, so both phases run at once"]
    for part in (editing, scoring):
        reasons += part.reasons[part.placement == "remote" :]  # it is not: that is a way to plan it
    seconds = None
    if costs.edit is not None and costs.score is not None:
        slower = max(len(work.missing) * costs.edit, work.unscored * costs.score)
        seconds = slower + costs.moving(moved)
    return replace(
        editing,
        placement="split",
        phases=tuple(phases),
        bytes_moved=moved,
        seconds=seconds,
        needs=(editor, judge),
        room=room,
        hosting=hosting,
        streamed=streamed,
        reasons=tuple(dict.fromkeys(filter(None, [*reasons, hosting.describe()]))),
        loads=tuple(loads),
    )
