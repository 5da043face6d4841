"""What the engine announces. Every display, log and observer is fed from these and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, ClassVar, Literal

from editbench.records import Json

Phase = Literal["edit", "score"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; ``time`` is seconds since the epoch."""

    kind: ClassVar[str] = "event"
    time: float

    def as_json(self) -> dict[str, Json]:
        """Return the event as JSON values, its kind first."""
        found: dict[str, Json] = {"event": self.kind}
        kind: type = type(self)
        for name in _names(kind):
            found[name] = getattr(self, name)
        return found


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    kind: ClassVar[str] = "run.start"
    run: str  #: name of the run's folder
    folder: str
    suite: str
    editor: str
    judge: str
    categories: Mapping[str, int]  #: pairs by category, in the suite's order
    reused_edits: Mapping[str, int]  #: finished in an earlier session, by category
    reused_scores: Mapping[str, int]
    notes: tuple[str, ...] = ()  #: what the user should know, such as that scores mean nothing


@dataclass(frozen=True, slots=True)
class Reading(Event):
    """Weights in a folder are read once, before anything is planned, to know them again."""

    kind: ClassVar[str] = "read"
    model: str
    done: int  #: bytes
    total: int


@dataclass(frozen=True, slots=True)
class Checking(Event):
    """The suite is being read and its images decoded, before anything is planned."""

    kind: ClassVar[str] = "check"
    suite: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Planned(Event):
    kind: ClassVar[str] = "plan"
    placement: str
    batches: int  #: phase batches
    swaps: int  #: that this session will make
    naive_swaps: int  #: pair by pair
    text: str  #: Plan.describe()
    expected: Mapping[str, float] = field(default_factory=dict)
    """Seconds of one ``edit``, ``score`` and ``swap``, as far as earlier runs measured them."""


@dataclass(frozen=True, slots=True)
class Loading(Event):
    """A model is being read into host memory."""

    kind: ClassVar[str] = "load.start"
    model: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Loaded(Event):
    kind: ClassVar[str] = "load"
    model: str
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Swapping(Event):
    """The model on the device is about to change. ``old`` is empty for the first one."""

    kind: ClassVar[str] = "swap.start"
    old: str
    new: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Moving(Event):
    """How many of the bytes that ``Swapping`` announced are on the device by now."""

    kind: ClassVar[str] = "swap.progress"
    new: str
    done: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Swapped(Event):
    """The device holds ``new``. Counts as a swap when ``old`` is not empty."""

    kind: ClassVar[str] = "swap"
    old: str
    new: str
    bytes: int  #: moved to the device
    seconds: float
    number: int  #: swaps made so far, this one included


@dataclass(frozen=True, slots=True)
class PhaseStarted(Event):
    kind: ClassVar[str] = "phase.start"
    phase: Phase
    batch: int  #: phase batch, from 1
    items: int  #: to do in it
    part: str = ""  #: of the edits, if they are made in parts


@dataclass(frozen=True, slots=True)
class PhaseEnded(Event):
    kind: ClassVar[str] = "phase"
    phase: Phase
    batch: int
    done: int
    failed: int
    seconds: float
    busy: float  #: seconds the device worked for it
    part: str = ""


@dataclass(frozen=True, slots=True)
class Advanced(Event):
    """A part of an edit, but not the last one, is durable."""

    kind: ClassVar[str] = "part"
    pair: str
    category: str
    seconds: float
    part: str
    parts: int  #: that an edit consists of


@dataclass(frozen=True, slots=True)
class Edited(Event):
    """An edit is durable."""

    kind: ClassVar[str] = "edit"
    pair: str
    category: str
    seconds: float
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Scored(Event):
    """A verdict is durable. ``overall`` is None unless ``state`` is ok."""

    kind: ClassVar[str] = "score"
    pair: str
    category: str
    seconds: float
    state: str
    overall: float | None


@dataclass(frozen=True, slots=True)
class Recalled(Event):
    """What the scores say that an earlier session finished, by category: read after the start.

    A reused score that is not counted here has no number: its reply could not be read.
    """

    kind: ClassVar[str] = "recalled"
    counts: Mapping[str, int]
    sums: Mapping[str, float]
    squares: Mapping[str, float]  #: sums of squared scores


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """A pair failed for good in this session."""

    kind: ClassVar[str] = "failed"
    phase: Phase
    pair: str
    category: str
    state: str
    message: str


@dataclass(frozen=True, slots=True)
class Retrying(Event):
    kind: ClassVar[str] = "retry"
    phase: Phase
    pair: str
    message: str
    batch: int  #: size of the next attempt's batch


@dataclass(frozen=True, slots=True)
class Memory(Event):
    """Bytes in use and allowed, now. 0 allowed means unlimited."""

    kind: ClassVar[str] = "memory"
    device: str
    device_used: int
    device_limit: int
    host_used: int
    host_limit: int
    spill_used: int
    spill_limit: int
    resident: tuple[str, ...]  #: models on the device
    loaded: tuple[str, ...] = ()  #: models in host memory, on the device or not


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """A sentence for the user: a stale lock, a damaged result redone, a disk that fills."""

    kind: ClassVar[str] = "notice"
    level: Literal["info", "warning", "error"]
    message: str


@dataclass(frozen=True, slots=True)
class Stopping(Event):
    kind: ClassVar[str] = "stopping"
    now: bool  #: at the next step rather than after the items on the device


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    kind: ClassVar[str] = "run.end"
    status: Literal["ok", "failed", "stopped"]
    seconds: float
    swaps: int
    summary: Mapping[str, Any]  #: as in summary.json; empty when stopped early


def from_json(value: Mapping[str, Any]) -> Event | None:
    """Return the event that a line of ``events.jsonl`` is; None for one of a later version."""
    kinds = {kind.kind: kind for kind in Event.__subclasses__()}
    fields = {name: inner for name, inner in value.items() if name not in ("v", "event")}
    try:
        return kinds[value["event"]](**fields)
    except (KeyError, TypeError):
        return None
