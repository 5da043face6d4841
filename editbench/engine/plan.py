"""Decides what is on which device when, and why. Pure: no models, no files, no clock.

Covers the placement of the two models and the order of edit and score phases for the work that is
left. Does not cover how many requests go into one step (see scheduler) or where inside the device a
model lies (see placement).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, NamedTuple

from editbench.engine import phases as order
from editbench.engine.hosting import Hosting, host
from editbench.engine.needs import SECTIONS, Fit, Need, Room, price, refusal
from editbench.engine.phases import Keep, PhaseStep, Role, Turn, Work
from editbench.engine.placement import aligned
from editbench.records import Json
from editbench.units import format_bytes, format_seconds

Placement = Literal[
    "nothing to do", "one model", "co-resident", "split", "remote", "phased", "in parts", "streamed"
]


class Costs(NamedTuple):
    """Seconds, measured on this machine earlier. None where unknown."""

    edit: float | None = None
    score: float | None = None
    bytes_per_second: float | None = None  #: of moves to the device


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do. ``Swaps made = swaps planned`` always."""

    placement: Placement
    phases: tuple[PhaseStep, ...]
    swaps: int
    naive_swaps: int  #: if every pair went through both phases before the next
    bytes_moved: int  #: to the device, over the whole plan
    spill_bytes: int  #: of edits to be written, estimated
    state_bytes: int  #: at most on disk between parts, estimated
    seconds: float | None  #: estimated; None without measurements
    needs: tuple[Need, Need]
    room: Room
    hosting: Hosting
    streamed: tuple[Role, ...] = ()  #: models that are larger than the device
    reasons: tuple[str, ...] = field(default=())
    loads: tuple[tuple[str, int], ...] = ()  #: models and bytes to the device, in order
    costs: Costs = field(default_factory=Costs)

    @property
    def sizes(self) -> Mapping[str, int]:
        """Bytes of weights of each model that the phases name, or of each module."""
        return _sizes(*self.needs)

    def need(self, role: Role) -> Need:
        """Return what a model takes."""
        return self.needs[0 if role == "edit" else 1]

    def reserve(self, roles: Iterable[Role]) -> int:
        """Return the bytes of a device that stay free for steps of these models."""
        used = {role for step in self.phases for role in step.roles}
        return max((self.need(role).working for role in used.intersection(roles)), default=0)

    def budget(self, role: Role) -> int:
        """Return the bytes of the device that weights of a model may take while it is alone."""
        return (self.room.of(role).device_bytes or 0) - self.need(role).working

    @property
    def batches(self) -> int:
        return max((phase.batch for phase in self.phases), default=0)

    def describe(self) -> str:
        """Return the plan in words and numbers, one fact a line."""
        editor, judge = self.needs
        room, seconds = self.room, self.seconds
        free = "" if room.spill_bytes is None else f", {format_bytes(room.spill_bytes)} free"
        states = f" and {format_bytes(self.state_bytes)} between parts" if self.state_bytes else ""
        duration = "unknown until measured" if seconds is None else f"~{format_seconds(seconds)}"
        lines = [
            f"placement  {self.placement}",
            f"editor     {editor.name}, {format_bytes(editor.weights)}{self._how('edit')}",
            f"judge      {judge.name}, {format_bytes(judge.weights)}{self._how('score')}",
            f"device     {room.describe()}",
            f"swaps      {self.swaps} ({self.naive_swaps} pair by pair)",
            f"moves      {format_bytes(self.bytes_moved)} to the device{self._from_disk()}",
            f"disk       about {format_bytes(self.spill_bytes)} of edits{states}{free}",
            f"time       {duration}",
        ]
        for phase in self.phases:
            doing = [
                f"{what} {len(items)}"
                for what, items in ((phase.part or "edit", phase.edits), ("score", phase.scores))
                if items or phase.kind == what
            ]
            lines.append(f"batch {phase.batch:<4} {' and '.join(doing)}{_present(phase)}")
        return "\n".join(lines + [f"why        {reason}" for reason in self.reasons])

    def _from_disk(self) -> str:
        read = self.hosting.read
        return f", {format_bytes(read)} of it from disk" if read else ""

    def _how(self, role: Role) -> str:
        return ", streamed" if role in self.streamed else ""

    def _homes(self) -> Iterator[tuple[Role, Need, Room]]:
        roles: tuple[Role, Role] = ("edit", "score")
        return ((role, self.need(role), self.room.of(role)) for role in roles)

    def as_json(self) -> dict[str, Json]:
        """Return the plan as JSON values."""
        return {
            "placement": self.placement,
            "swaps": self.swaps,
            "naive_swaps": self.naive_swaps,
            "bytes_moved": self.bytes_moved,
            "spill_bytes": self.spill_bytes,
            "state_bytes": self.state_bytes,
            "seconds": self.seconds,
            "batches": self.batches,
            "models": [
                {
                    "role": SECTIONS[role],
                    "name": need.name,
                    "weights": need.weights,
                    "working": need.working,
                    "device": {"name": room.device, "bytes": room.device_bytes},
                }
                for role, need, room in self._homes()
            ],
            "phases": [
                {
                    "kind": phase.kind,
                    "part": phase.part,
                    "models": list(phase.models),
                    "batch": phase.batch,
                    "edits": len(phase.edits),
                    "scores": len(phase.scores),
                }
                for phase in self.phases
            ],
            "masters": [
                {"name": name, "memory_bytes": home.memory, "file_bytes": home.file}
                for name, home in self.hosting.homes.items()
            ],
            "file_bytes_read": self.hosting.read,
            "streamed": {
                role: {"held": need.streaming.held, "moved": need.streaming.moved}
                for role, need in zip(("edit", "score"), self.needs, strict=True)
                if role in self.streamed and need.streaming
            },
            "reasons": list(self.reasons),
        }


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
            return _split(one, work, editor, judge, room, costs)
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
    sizes = _sizes(editor, judge)
    loads: list[tuple[str, int]] = []
    if streamed:
        loads = order.loads_anew(phases, {**sizes, **_staying(streamed)})
    elif room.device_bytes is not None:
        loads = order.loads(phases, sizes, capacity=capacity)
    moved = sum(size for _, size in loads)
    hosting = _host(phases, sizes, loads, streamed, room)
    reasons += filter(None, [hosting.describe()])
    if fit.apart:
        reasons.insert(0, _price(phases, moved, sizes))
    return Plan(
        placement=placement,
        phases=tuple(phases),
        swaps=order.swaps(phases),
        naive_swaps=max(0, 2 * (len(work.missing) + len(work.ready)) - 1),
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


def _split(
    one: Callable[[Need, Need, Room], Plan],
    work: Work,
    editor: Need,
    judge: Need,
    room: Room,
    costs: Costs,
) -> Plan:
    """Return the plan if each model has a device of its own, where the other one takes nothing.

    ``one`` plans for one device.
    """
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
    streamed: dict[Role, Need] = {
        role: need
        for role, need in (("edit", editor), ("score", judge))
        if role in (*editing.streamed, *scoring.streamed)
    }
    hosting = _host(phases, _sizes(editor, judge), loads, streamed, room)
    reasons = ["each model has a device of its own, so both phases run at once"]
    for part in (editing, scoring):
        reasons += part.reasons[part.placement == "remote" :]  # it is not: that is a way to plan it
    seconds = None
    if costs.edit is not None and costs.score is not None:
        slower = max(len(work.missing) * costs.edit, _scores(work) * costs.score)
        seconds = slower + _moving(editing.bytes_moved + scoring.bytes_moved, costs)
    return replace(
        editing,
        placement="split",
        phases=tuple(phases),
        bytes_moved=editing.bytes_moved + scoring.bytes_moved,
        seconds=seconds,
        needs=(editor, judge),
        room=room,
        hosting=hosting,
        streamed=tuple(streamed),
        reasons=tuple(dict.fromkeys(filter(None, [*reasons, hosting.describe()]))),
        loads=tuple(loads),
    )


def _host(
    phases: Sequence[PhaseStep],
    sizes: Mapping[str, int],
    loads: Sequence[tuple[str, int]],
    streamed: Mapping[Role, Need],
    room: Room,
) -> Hosting:
    if not loads:
        return Hosting()
    return host(
        _without(phases, streamed),
        sizes,
        [load for load in loads if load[0] not in streamed],
        memory=room.host_bytes and max(0, room.host_bytes - _streamed_bytes(streamed)),
        disk=room.file_bytes,
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


def _without(phases: Sequence[PhaseStep], streamed: Collection[str]) -> list[PhaseStep]:
    return [
        replace(step, models=tuple(name for name in step.models if name not in streamed))
        for step in phases
    ]


def _streamed_bytes(streamed: Mapping[Role, Need]) -> int:
    """Return the bytes of host memory from which models are streamed."""
    return sum(need.weights for need in streamed.values())


def _staying(streamed: Mapping[Role, Need]) -> dict[str, int]:
    """Return the bytes of streamed models that are moved once and stay."""
    return {
        role: need.weights - need.streaming.moved
        for role, need in streamed.items()
        if need.streaming
    }


def _sizes(editor: Need, judge: Need) -> dict[str, int]:
    modules = {order.module(n): size for part in editor.parts for n, size in part.modules.items()}
    return {"edit": editor.weights, "score": judge.weights, **modules}


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


def _present(phase: PhaseStep) -> str:
    names = (name.partition(".")[2] for name in phase.models)
    return f" with {' and '.join(names)}" if phase.part else ""


def _seconds(work: Work, moved: int, costs: Costs) -> float | None:
    edits, scores = len(work.missing), _scores(work)
    if (edits and costs.edit is None) or (scores and costs.score is None):
        return None
    total = edits * (costs.edit or 0.0) + scores * (costs.score or 0.0)
    return total + _moving(moved, costs)


def _scores(work: Work) -> int:
    return len(work.missing) + len(work.ready)


def _moving(moved: int, costs: Costs) -> float:
    return moved / costs.bytes_per_second if costs.bytes_per_second else 0.0
