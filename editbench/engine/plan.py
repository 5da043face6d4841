"""Decides what is on which device when, and why. Pure: no models, no files, no clock.

Covers the placement of the two models and the order of edit and score phases for the work that is
left. Does not cover how many requests go into one step (see scheduler) or where inside the device a
model lies (see placement).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from editbench.errors import DoesNotFit
from editbench.records import Json
from editbench.units import format_bytes, format_seconds

Placement = Literal["nothing to do", "one model", "co-resident", "remote", "phased"]
PhaseKind = Literal["edit", "score", "both"]
Keep = Literal["all", "until-scored", "thumbnails"]


@dataclass(frozen=True, slots=True)
class Work:
    """What is left, as positions in the suite, in its order."""

    missing: Sequence[int]  #: pairs without an edit
    ready: Sequence[int]  #: pairs with an edit and without a verdict
    done: int = 0  #: pairs with a verdict
    edit_bytes: int = 0  #: of one stored edit, estimated
    first: int = 0  #: how many of ``missing`` belong to the first category


@dataclass(frozen=True, slots=True)
class Need:
    """What one model takes on the device, in bytes."""

    name: str
    weights: int
    working: int = 0  #: beside the weights, for one step


@dataclass(frozen=True, slots=True)
class Room:
    """What may be used, in bytes. None means that nothing limits it."""

    device: str
    device_bytes: int | None
    spill_bytes: int | None = None


class Costs(NamedTuple):
    """Seconds, measured on this machine earlier. None where unknown."""

    edit: float | None = None
    score: float | None = None
    bytes_per_second: float | None = None  #: of moves to the device


@dataclass(frozen=True, slots=True)
class PhaseStep:
    """One phase: what to do, and for which pairs in which order."""

    kind: PhaseKind
    batch: int  #: phase batch, from 1
    edits: Sequence[int] = ()
    scores: Sequence[int] = ()

    @property
    def models(self) -> tuple[Literal["edit", "score"], ...]:
        return ("edit", "score") if self.kind == "both" else (self.kind,)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do. ``Swaps made = swaps planned`` always."""

    placement: Placement
    phases: tuple[PhaseStep, ...]
    swaps: int
    naive_swaps: int  #: if every pair went through both phases before the next
    bytes_moved: int  #: to the device, over the whole plan
    spill_bytes: int  #: to be written, estimated
    seconds: float | None  #: estimated; None without measurements
    needs: tuple[Need, Need]
    room: Room
    reasons: tuple[str, ...] = field(default=())

    @property
    def batches(self) -> int:
        return max((phase.batch for phase in self.phases), default=0)

    def describe(self) -> str:
        """Return the plan in words and numbers, one fact a line."""
        editor, judge = self.needs
        room, seconds = self.room, self.seconds
        device = "no limit" if room.device_bytes is None else format_bytes(room.device_bytes)
        free = "" if room.spill_bytes is None else f", {format_bytes(room.spill_bytes)} free"
        duration = "unknown until measured" if seconds is None else f"~{format_seconds(seconds)}"
        lines = [
            f"placement  {self.placement}",
            f"editor     {editor.name}, {format_bytes(editor.weights)}",
            f"judge      {judge.name}, {format_bytes(judge.weights)}",
            f"device     {room.device}, {device}",
            f"swaps      {self.swaps} ({self.naive_swaps} pair by pair)",
            f"moves      {format_bytes(self.bytes_moved)} to the device",
            f"disk       about {format_bytes(self.spill_bytes)} of edits{free}",
            f"time       {duration}",
        ]
        for phase in self.phases:
            parts = [
                f"{what} {len(items)}"
                for what, items in (("edit", phase.edits), ("score", phase.scores))
                if items or phase.kind == what
            ]
            lines.append(f"batch {phase.batch:<4} {' and '.join(parts)}")
        return "\n".join(lines + [f"why        {reason}" for reason in self.reasons])

    def as_json(self) -> dict[str, Json]:
        """Return the plan as JSON values."""
        return {
            "placement": self.placement,
            "swaps": self.swaps,
            "naive_swaps": self.naive_swaps,
            "bytes_moved": self.bytes_moved,
            "spill_bytes": self.spill_bytes,
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
                    "batch": phase.batch,
                    "edits": len(phase.edits),
                    "scores": len(phase.scores),
                }
                for phase in self.phases
            ],
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
    placement, why = _place(work, editor, judge, room)
    phases, reasons = _phases(work, room, placement, keep=keep, early_scores=early_scores)
    swaps = sum(a.kind != b.kind for a, b in itertools.pairwise(phases))
    spill = work.edit_bytes * len(work.missing)
    if keep == "all" and room.spill_bytes is not None and spill > room.spill_bytes:
        reasons.append(
            f"the edits need about {format_bytes(spill)} and {format_bytes(room.spill_bytes)} are "
            "free: the run may stop with a full disk, everything safe"
        )
    moved = _moved(phases, editor, judge, room)
    return Plan(
        placement=placement,
        phases=tuple(phases),
        swaps=swaps,
        naive_swaps=max(0, 2 * (len(work.missing) + len(work.ready)) - 1),
        bytes_moved=moved,
        spill_bytes=spill,
        seconds=_seconds(work, moved, costs or Costs()),
        needs=(editor, judge),
        room=room,
        reasons=(why, *reasons),
    )


def _place(work: Work, editor: Need, judge: Need, room: Room) -> tuple[Placement, str]:
    if not work.missing and not work.ready:
        return "nothing to do", f"all {work.done} pairs are finished"
    needed = [editor] * bool(work.missing) + [judge]
    for need in needed:
        _must_fit(need, room)
    if len(needed) == 1:
        return "one model", f"every edit is stored, so only {judge.name} is needed"
    if not editor.weights or not judge.weights:
        free = judge if not judge.weights else editor
        return "remote", f"{free.name} takes no room on the device, so both phases run at once"
    both = editor.weights + judge.weights + max(editor.working, judge.working)
    if room.device_bytes is None or both <= room.device_bytes:
        return "co-resident", f"both models fit ({format_bytes(both)}), so nothing is ever swapped"
    return "phased", (
        f"both models need {format_bytes(both)} and {room.device} has "
        f"{format_bytes(room.device_bytes)}: one at a time"
    )


def _must_fit(need: Need, room: Room) -> None:
    total = need.weights + need.working
    if room.device_bytes is None or total <= room.device_bytes or not need.weights:
        return
    raise DoesNotFit(
        f"{need.name} needs {format_bytes(total)} and {room.device} has "
        f"{format_bytes(room.device_bytes)}",
        hint="choose a smaller model or dtype, another --device, or a larger --device-budget",
        problems=(
            f"weights   {format_bytes(need.weights)}",
            f"one step  {format_bytes(need.working)} beside them",
        ),
    )


def _phases(
    work: Work, room: Room, placement: Placement, *, keep: Keep, early_scores: bool
) -> tuple[list[PhaseStep], list[str]]:
    missing, ready = list(work.missing), list(work.ready)
    if placement == "nothing to do":
        return [], []
    if placement == "one model":
        return [PhaseStep("score", 1, scores=ready)], []
    if placement in ("co-resident", "remote"):
        return [PhaseStep("both", 1, edits=missing, scores=ready)], []
    groups, score_first, reasons = _groups(work, room, keep=keep)
    if early_scores and 0 < work.first < len(groups[0]):
        groups[:1] = [groups[0][: work.first], groups[0][work.first :]]
        reasons.append("the first category's scores come early, at the price of two swaps")
    phases: list[PhaseStep] = []
    if score_first:
        phases.append(PhaseStep("score", 1, scores=ready))
        ready = []
    for number, group in enumerate(groups, 1):
        phases.append(PhaseStep("edit", number, edits=group))
        phases.append(PhaseStep("score", number, scores=sorted(ready + group)))
        ready = []
    return phases, reasons


def _groups(work: Work, room: Room, *, keep: Keep) -> tuple[list[list[int]], bool, list[str]]:
    """Cut the missing edits into phase batches; say whether to score what is stored first."""
    missing = list(work.missing)
    if keep == "all" or room.spill_bytes is None or not work.edit_bytes:
        return [missing], False, []
    now = room.spill_bytes // work.edit_bytes
    emptied = max(1, now + len(work.ready))
    if len(missing) <= now:
        return [missing], False, []
    # Editing first costs 2k-1 swaps, but its first batch has only the room that is free now.
    first = [missing[:now]] if now else []
    rest = missing[now:]
    edit_first = first + [rest[i : i + emptied] for i in range(0, len(rest), emptied)]
    score_first = [missing[i : i + emptied] for i in range(0, len(missing), emptied)]
    use_score_first = bool(work.ready) and (not now or len(score_first) < len(edit_first))
    groups = score_first if use_score_first else edit_first
    reason = (
        f"the disk holds about {emptied} edits at a time, so the pairs go through both phases in "
        f"{len(groups)} batches"
    )
    return groups, use_score_first, [reason]


def _moved(phases: Sequence[PhaseStep], editor: Need, judge: Need, room: Room) -> int:
    """Return the bytes that go to the device: a model whole at first, later only the overlap."""
    if room.device_bytes is None:
        return 0
    sizes = {"edit": editor.weights, "score": judge.weights}
    region = room.device_bytes - max(editor.working, judge.working)
    overlap = max(0, editor.weights + judge.weights - region)
    seen: set[str] = set()
    moved, resident = 0, ""
    for phase in phases:
        for model in phase.models:
            if model not in seen:
                moved += sizes[model]
            elif phase.kind != "both" and model != resident:
                moved += overlap
            seen.add(model)
            resident = model
    return moved


def _seconds(work: Work, moved: int, costs: Costs) -> float | None:
    edits, scores = len(work.missing), len(work.missing) + len(work.ready)
    if (edits and costs.edit is None) or (scores and costs.score is None):
        return None
    total = edits * (costs.edit or 0.0) + scores * (costs.score or 0.0)
    return total + (moved / costs.bytes_per_second if costs.bytes_per_second else 0.0)
