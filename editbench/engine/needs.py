"""What models take on the device, what there is, and what helps where that is too little. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from editbench.engine.phases import Role, Work, module
from editbench.engine.protocols import Part, Streaming
from editbench.errors import DoesNotFit
from editbench.units import format_bytes, format_seconds

#: what each model is run through for
PASSES: dict[Role, str] = {"edit": "step of an edit", "score": "token of a reply"}
SECTIONS: dict[Role, str] = {"edit": "editor", "score": "judge"}  #: of the settings, by role


@dataclass(frozen=True, slots=True)
class Need:
    """What one model takes on the device, in bytes."""

    name: str
    weights: int
    working: int = 0  #: beside the weights, for one step
    parts: Sequence[Part] = ()  #: that it can be taken apart into, if it can
    streaming: Streaming | None = None  #: what streaming would take, if it can and has to be
    smaller: Mapping[str, int] = field(default_factory=dict)  #: weights with other settings

    @property
    def largest_part(self) -> int:
        """Bytes of the weights of its largest part; 0 if it has no parts."""
        return max((sum(part.modules.values()) for part in self.parts), default=0)


def weights_of(editor: Need, judge: Need) -> dict[str, int]:
    """Return the bytes of weights of everything that phases name: both models, and modules."""
    parts = {module(name): size for part in editor.parts for name, size in part.modules.items()}
    return {"edit": editor.weights, "score": judge.weights, **parts}


@dataclass(frozen=True, slots=True)
class Room:
    """What may be used, in bytes. None means that nothing limits it."""

    device: str
    device_bytes: int | None
    spill_bytes: int | None = None
    host_bytes: int | None = None  #: of host memory, for weights beside those on the device
    file_bytes: int | None = None  #: of disk, for weights that host memory cannot hold
    judge_device: str = ""  #: if the judge has a device of its own
    judge_bytes: int | None = None  #: of that device

    def of(self, role: Role) -> Room:
        """Return what there is for one of the models."""
        if role == "edit" or not self.judge_device:
            return replace(self, judge_device="")
        return replace(
            self, device=self.judge_device, device_bytes=self.judge_bytes, judge_device=""
        )

    def holds(self, size: int) -> bool:
        """Return whether so many bytes fit on the device."""
        return self.device_bytes is None or size <= self.device_bytes

    def describe(self) -> str:
        """Return each device and its bytes in words."""
        rooms = [self.of("edit"), self.of("score")] if self.judge_device else [self]
        return "; ".join(f"{room.device}, {room.limit}" for room in rooms)

    @property
    def limit(self) -> str:
        """What the device has, in words."""
        return "no limit" if self.device_bytes is None else format_bytes(self.device_bytes)

    def __str__(self) -> str:
        return f"{self.device} has {self.limit}"


@dataclass(frozen=True, slots=True)
class Fit:
    """Which models are needed, and how each of them fits."""

    work: Work
    editor: Need
    judge: Need
    room: Room

    @property
    def step(self) -> int:
        """Bytes beside the weights."""
        # The region is allocated once, so it has to leave room for the largest of all steps.
        editing = self.editor.working if self.work.missing else 0
        return max(editing, self.judge.working)

    @property
    def too_large(self) -> dict[Role, Need]:
        """The models that are needed and do not fit whole."""
        needed: dict[Role, Need] = {}
        if self.work.missing:
            needed["edit"] = self.editor
        if self.work.missing or self.work.ready:
            needed["score"] = self.judge
        return {
            role: need
            for role, need in needed.items()
            if need.weights and not self.room.holds(need.weights + self.step)
        }

    @property
    def apart(self) -> bool:
        """Whether the editor fits in parts only."""
        parts = self.editor.parts and self.room.holds(self.editor.largest_part + self.step)
        return "edit" in self.too_large and bool(parts)

    @property
    def streamed(self) -> dict[Role, Need]:
        """The models that are needed and fit neither whole nor in parts."""
        apart = self.apart
        return {
            role: need for role, need in self.too_large.items() if not (role == "edit" and apart)
        }


def refusal(needs: Mapping[Role, Need], step: int, room: Room) -> DoesNotFit:
    """Return why these models cannot run, with what each would take in every other way.

    ``step`` is what one step takes beside the weights.
    """
    wanted = (f"{need.name} needs {format_bytes(need.weights + step)}" for need in needs.values())
    enough = format_bytes(max(need.weights for need in needs.values()) + step)
    hints = [f"raise --device-budget to {enough}, if the device has it"]
    problems: list[str] = []
    for role, need in needs.items():
        section = SECTIONS[role]
        hints += [f"set {section}.{setting}" for setting, _ in remedies(need, step, room)[:1]]
        problems += (f"{section}: {way}" for way in _ways(need, step, room))
    return DoesNotFit(
        f"{' and '.join(wanted)}, and {room}",
        hint=", or ".join([*reversed(hints), "choose a smaller model or another --device"]),
        problems=problems,
    )


def price(
    role: Role, need: Need, step: int, room: Room, *, bytes_per_second: float | None
) -> Iterator[str]:
    """Say what streaming a model costs, and with which setting there would be no need of it."""
    if need.streaming is None:
        return
    moved = need.streaming.moved
    lasts = f", {format_seconds(moved / bytes_per_second)}," if bytes_per_second else ""
    yield (
        f"{need.name} needs {format_bytes(need.weights + step)} at once and {room}: it is "
        f"streamed, so {format_bytes(moved)} come over the link{lasts} for each {PASSES[role]}"
    )
    for setting, size in remedies(need, step, room)[:1]:
        yield f"with {setting} it would take {format_bytes(size)} and not be streamed"


def remedies(need: Need, step: int, room: Room) -> list[tuple[str, int]]:
    """Return the settings with which a model fits, and its bytes, the mildest first."""
    sizes = ((setting, size) for setting, size in need.smaller.items() if room.holds(size + step))
    return sorted(sizes, key=lambda each: -each[1])


def _ways(need: Need, step: int, room: Room) -> Iterator[str]:
    """Yield each way to run a model, and whether the device has what it takes."""

    def line(way: str, size: int, more: str = "") -> str:
        verdict = "fits" if room.holds(size + step) else "does not fit"
        return f"{way:<19} {format_bytes(size)}{more}, {verdict}"

    yield line("as it is", need.weights, f" and {format_bytes(step)} for a step" if step else "")
    if need.parts:
        yield line("in parts", need.largest_part, " for the largest")
    for setting, size in need.smaller.items():
        yield line(setting, size)
    yield f"{'streamed':<19} not possible here"
