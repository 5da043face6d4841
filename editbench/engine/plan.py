"""What a run will do and why: its phases, swaps and bytes, in words and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from editbench.engine.hosting import Hosting
from editbench.engine.needs import SECTIONS, Need, Room, weights_of
from editbench.engine.phases import PhaseStep, Role
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

    def moving(self, size: int) -> float:
        """Return the seconds for so many bytes to the device; 0 where that is unknown."""
        return size / self.bytes_per_second if self.bytes_per_second else 0.0


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
        return weights_of(*self.needs)

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


def _present(phase: PhaseStep) -> str:
    names = (name.partition(".")[2] for name in phase.models)
    return f" with {' and '.join(names)}" if phase.part else ""
