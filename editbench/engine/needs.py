"""What models take on the device, what there is, and what helps where that is too little. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from editbench.engine.phases import Role
from editbench.engine.protocols import Part, Streaming
from editbench.errors import DoesNotFit
from editbench.units import format_bytes

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

    def price(self, step: int, room: Room) -> Iterator[str]:
        """Say what streaming costs, and with which settings there would be no need of it."""
        if not self.streaming:
            return
        yield (
            f"{self.name} needs {format_bytes(self.weights + step)} at once and {room}: it is "
            f"streamed, so {format_bytes(self.streaming.moved)} come over the link each time that "
            "it runs through: once a step of an editor, once a token of a judge"
        )
        for setting, size in remedies(self, step, room)[:1]:
            yield f"with {setting} it would take {format_bytes(size)} and not be streamed"


@dataclass(frozen=True, slots=True)
class Room:
    """What may be used, in bytes. None means that nothing limits it."""

    device: str
    device_bytes: int | None
    spill_bytes: int | None = None
    host_bytes: int | None = None  #: of host memory, for weights beside those on the device
    file_bytes: int | None = None  #: of disk, for weights that host memory cannot hold

    def holds(self, size: int) -> bool:
        """Return whether so many bytes fit on the device."""
        return self.device_bytes is None or size <= self.device_bytes

    def __str__(self) -> str:
        limit = "no limit" if self.device_bytes is None else format_bytes(self.device_bytes)
        return f"{self.device} has {limit}"


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


def remedies(need: Need, step: int, room: Room) -> list[tuple[str, int]]:
    """Return the settings with which a model fits, and its bytes, the mildest first."""
    sizes = ((setting, size) for setting, size in need.smaller.items() if room.holds(size + step))
    return sorted(sizes, key=lambda each: -each[1])


def _ways(need: Need, step: int, room: Room) -> Iterator[str]:
    """Yield each way to run a model, and whether the device has what it takes."""

    def line(way: str, size: int, more: str = "") -> str:
        verdict = "fits" if room.holds(size + step) else "does not fit"
        return f"{way:<19} {format_bytes(size)}{more}, {verdict}"

    yield line("as it is", need.weights, f" and {format_bytes(step)} for a step")
    if need.parts:
        yield line("in parts", need.largest_part, " for the largest")
    for setting, size in need.smaller.items():
        yield line(setting, size)
    yield f"{'streamed':<19} not possible here"
