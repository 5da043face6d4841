"""Decides what is on which device when, and why. Pure: no models, no files, no clock.

Covers the placement of the two models and the order of edit and score phases for the work that is
left. Does not cover how many requests go into one step (see scheduler) or where inside the device a
model lies (see placement).
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from editbench.engine import phases as order
from editbench.engine.hosting import Hosting, host
from editbench.engine.needs import Fit, Need, Room, price, refusal
from editbench.engine.phases import Keep, PhaseStep, Role, Turn, Work
from editbench.engine.placement import aligned
from editbench.records import Json
from editbench.units import format_bytes, format_seconds

Placement = Literal[
    "nothing to do", "one model", "co-resident", "remote", "phased", "in parts", "streamed"
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

    @property
    def reserve(self) -> int:
        """Bytes of the device that stay free for steps."""
        return max(need.working for need in self.needs)

    def budget(self, role: Role) -> int:
        """Return the bytes of the device that weights of a model may take while it is alone."""
        need = self.needs[0 if role == "edit" else 1]
        return (self.room.device_bytes or 0) - need.working

    @property
    def batches(self) -> int:
        return max((phase.batch for phase in self.phases), default=0)

    def describe(self) -> str:
        """Return the plan in words and numbers, one fact a line."""
        editor, judge = self.needs
        room, seconds = self.room, self.seconds
        device = "no limit" if room.device_bytes is None else format_bytes(room.device_bytes)
        free = "" if room.spill_bytes is None else f", {format_bytes(room.spill_bytes)} free"
        states = f" and {format_bytes(self.state_bytes)} between parts" if self.state_bytes else ""
        duration = "unknown until measured" if seconds is None else f"~{format_seconds(seconds)}"
        lines = [
            f"placement  {self.placement}",
            f"editor     {editor.name}, {format_bytes(editor.weights)}{self._how('edit')}",
            f"judge      {judge.name}, {format_bytes(judge.weights)}{self._how('score')}",
            f"device     {room.device}, {device}",
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
            "device": {"name": self.room.device, "bytes": self.room.device_bytes},
            "models": [
                {"role": role, "name": need.name, "weights": need.weights, "working": need.working}
                for role, need in zip(("editor", "judge"), self.needs, strict=True)
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
    fit = Fit(work, editor, judge, room)
    streamed = fit.streamed
    placement, why = _place(fit, costs)
    capacity = (room.device_bytes or 0) - max(editor.working, judge.working)
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
    hosting = Hosting()
    if loads:
        hosting = host(
            _without(phases, streamed),
            sizes,
            [load for load in loads if load[0] not in streamed],
            memory=room.host_bytes and max(0, room.host_bytes - _streamed_bytes(streamed)),
            disk=room.file_bytes,
        )
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
        order.changes(before.models, after)
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
    edits, scores = len(work.missing), len(work.missing) + len(work.ready)
    if (edits and costs.edit is None) or (scores and costs.score is None):
        return None
    total = edits * (costs.edit or 0.0) + scores * (costs.score or 0.0)
    return total + (moved / costs.bytes_per_second if costs.bytes_per_second else 0.0)
