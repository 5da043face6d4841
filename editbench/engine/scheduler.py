"""Keeps a device fed: decodes ahead of it, encodes and stores behind it, bounded in bytes.

One stage is one phase's way for its pairs: ``prepare`` on the pool, ``step`` on the device's lane,
``finish`` on the pool. Does not know what an edit or a score is, nor which model is resident.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from editbench.engine.events import Event
from editbench.engine.failures import FirstFailures, failure_of
from editbench.engine.grouping import grouped, parcels
from editbench.engine.lanes import Lane
from editbench.engine.memory import ByteLimit
from editbench.engine.steps import BatchLimits, Finished, Limits, Ready, Stepping, Steps
from editbench.errors import EditbenchError, StoreError
from editbench.records import Failure

AHEAD = 3  #: batches decoded before the device asks for them
ON_LANE = 2  #: steps given to the device's thread, so that it never waits for the event loop
PARCEL = 2**20  #: bytes of images worth a thread of their own

T = TypeVar("T")


class Stage(Stepping, Protocol):
    """What one phase does with its pairs. ``prepare`` and ``finish`` run on several threads."""

    def weigh(self, index: int) -> int:
        """Return the bytes that a pair takes in RAM from its decoding until it is durable."""

    def prepare(self, index: int) -> Any:
        """Return what the step needs. An exception fails this pair."""

    def finish(self, done: Sequence[Finished]) -> Sequence[Any]:
        """Make outputs durable and return what is to be announced for each. Gets no failures."""

    def announce(self, index: int, result: Any, seconds: float) -> Failure | None:
        """Tell the world of a durable result or a ``Failure``. Called on the event loop.

        Returns the failure if it is one that counts against the run.
        """


class Control:
    """How a run is asked to stop. ``now`` is read by the device's thread between steps."""

    def __init__(self) -> None:
        self.stopping = False  #: start nothing new
        self.now = False  #: give up the step on the device
        self.cause: EditbenchError | None = None  #: why a stage gave up by itself

    def stop(self, *, now: bool = False) -> None:
        """Ask to finish what is on the device and stop; with ``now``, to stop at the next step."""
        self.stopping = True
        self.now = self.now or now

    def halt(self, cause: EditbenchError) -> None:
        """Give up the present stage for a reason of its own; the first one counts."""
        self.cause = self.cause or cause

    @property
    def feeding(self) -> bool:
        return not self.stopping and self.cause is None


@dataclass(slots=True, eq=False)
class _Batch:
    indices: list[int]
    sizes: list[int]  #: bytes held from the limit, for each
    ready: anyio.Event = field(default_factory=anyio.Event)
    inputs: list[Any] = field(default_factory=list)


class Scheduler:
    """Runs stages. Several may run at once and share the device, the pool and the bytes."""

    def __init__(
        self,
        *,
        lane: Lane,
        pool: Lane,
        limit: ByteLimit,
        control: Control,
        limits: Limits,
        emit: Callable[[Event], None],
    ) -> None:
        self._lane = lane
        self._pool = pool
        self._limit = limit
        self._control = control
        self._limits = limits
        self._emit = emit
        self._batch_limits: BatchLimits = {}

    async def run(self, stage: Stage, indices: AsyncIterable[int]) -> None:
        """Take every pair through the stage, until done, stopped or halted (see ``Control``)."""
        await _Passage(self, stage).run(indices)


class _Passage:
    """One stage on its way."""

    def __init__(self, scheduler: Scheduler, stage: Stage) -> None:
