"""Keeps a device fed: decodes ahead of it, encodes and stores behind it, bounded in bytes.

One stage is one phase's way for its pairs: ``prepare`` on the pool, ``step`` on the device's lane,
``finish`` on the pool. Does not know what an edit or a score is, nor which model is resident.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from editbench.engine.bundles import WORTHWHILE, Bundle, Pace, Source, bundled
from editbench.engine.events import Event
from editbench.engine.failures import FirstFailures, failure_of
from editbench.engine.grouping import Groups
from editbench.engine.lanes import Call, Lane
from editbench.engine.memory import ByteLimit
from editbench.engine.steps import LATER, BatchLimits, Finished, Limits, Ready, Stepping, Steps
from editbench.errors import EditbenchError, StoreError
from editbench.records import Failure

AHEAD = 3  #: bundles decoded before the device asks for them
ON_LANE = 2  #: calls given to the device's thread, so that it never waits for the event loop
PART = 5  #: a bundle takes no more of the limit than this part

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
class _Ahead:
    """A bundle before its steps."""

    bundle: Bundle
    inputs: Call[tuple[list[Any], float]]  #: and the seconds that they took


@dataclass(slots=True, eq=False)
class _Passage:
    """A stage on its way."""

    stage: Stage
    steps: Steps
    outcomes: FirstFailures
    tasks: TaskGroup
    bundles: MemoryObjectReceiveStream[_Ahead]
    pace: Pace
    turn: anyio.Lock = field(default_factory=anyio.Lock)  #: to take one, so that none overtakes
    steps_left: int = 0  #: that the device's thread has not been asked to take
    put_off: list[int] = field(default_factory=list)


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

    async def run(self, stage: Stage, source: Source) -> list[int]:
        """Take every pair through the stage, until done, stopped or halted (see ``Control``).

        Returns the pairs that a step put off.
        """
        steps = Steps(
            stage, wishes=self._control, limits=self._limits, batch_limits=self._batch_limits
        )
        pace = Pace(most_bytes=self._limit.limit // PART)
        send, receive = anyio.create_memory_object_stream[_Ahead](AHEAD)
        async with anyio.create_task_group() as tasks:
            outcomes = FirstFailures(stage.phase)
            passage = _Passage(stage, steps, outcomes, tasks, receive, pace)
            tasks.start_soon(self._feed, passage, source, send)
            async with receive, anyio.create_task_group() as drivers:
                for _ in range(ON_LANE):
                    drivers.start_soon(self._drive, passage)
            self._limit.release(steps.abandon())
        return passage.put_off

    async def _feed(
        self, passage: _Passage, source: Source, send: MemoryObjectSendStream[_Ahead]
    ) -> None:
        stage = passage.stage
        groups = Groups(stage.shape, size=stage.max_batch)
        async with send:
            async for bundle in bundled(source, groups, weigh=stage.weigh, pace=passage.pace):
                await self._limit.acquire(bundle.bytes)
                if not self._control.feeding:
                    self._limit.release(bundle.bytes)
                    return
                indices = [pair.index for pair in bundle.pairs]
                inputs = self._pool.start(_timed, _prepare_all, stage, indices)
                await send.send(_Ahead(bundle, inputs))

    async def _drive(self, passage: _Passage) -> None:
        """Have the device's thread take one step after the other."""
        while True:
            while not (passage.steps_left and self._control.feeding):
                if not await self._take(passage):
                    return
            await self._step(passage)

    async def _take(self, passage: _Passage) -> bool:
        """Wait for a bundle and line it up for the device. False if there will be no more."""
        async with passage.turn:
            try:
                ahead = await passage.bundles.receive()
            except anyio.EndOfStream:
                return False
            inputs = await self._inputs(passage, ahead)
        if not self._control.feeding:
            self._limit.release(ahead.bundle.bytes)
            return True
        for batch in ahead.bundle.batches:
            good = []
            for pair in batch:
                row = Ready(pair.index, next(inputs), pair.bytes)
                if isinstance(row.input, Failure):
                    self._announce(passage, row.index, row.input, 0.0)
                    self._limit.release(row.bytes)
                else:
                    good.append(row)
            if good:
                passage.steps.add(good)
                passage.steps_left += 1
        return True

    async def _inputs(self, passage: _Passage, ahead: _Ahead) -> Iterator[Any]:
        try:
            found, seconds = await ahead.inputs.result()
        except StoreError as exc:
            self._control.halt(exc)
            return iter(())
        passage.pace.saw("prepare", seconds=seconds, bytes=ahead.bundle.bytes)
        return iter(found)

    async def _step(self, passage: _Passage) -> None:
        count, passage.steps_left = passage.steps_left, 0
        done, left, retrying = await self._lane.run(passage.steps.some, count, seconds=WORTHWHILE)
        passage.steps_left += left
        for event in retrying:
            self._emit(event)
        put_off = [item for item in done if item.output is LATER]
        if put_off:
            passage.put_off += [item.index for item in put_off]
            self._limit.release(sum(item.bytes for item in put_off))
            done = [item for item in done if item.output is not LATER]
        if not done:
            return
        seconds = sum(item.seconds for item in done)
        passage.pace.saw("step", seconds=seconds, bytes=sum(item.bytes for item in done))
        if not all(isinstance(item.output, Failure) for item in done):
            # Now, since failures need no disk and would be announced before what came first.
            passage.outcomes.see(None, fail_fast=False)
        passage.tasks.start_soon(self._finish, passage, done)

    async def _finish(self, passage: _Passage, done: Sequence[Finished]) -> None:
        try:
            good = [item for item in done if not isinstance(item.output, Failure)]
            # First, since its images are still in the processor's cache, and its bytes are wanted.
            results: Iterator[Any] = iter(())
            if good:
                work = self._pool.run_first(_timed, passage.stage.finish, good)
                found, seconds = await work
                size = sum(item.bytes for item in good)
                passage.pace.saw("finish", seconds=seconds, bytes=size)
                results = iter(found)
            for item in done:
                failed = isinstance(item.output, Failure)
                result = item.output if failed else next(results)
                self._announce(passage, item.index, result, item.seconds)
        except StoreError as exc:
            self._control.halt(exc)
        finally:
            self._limit.release(sum(item.bytes for item in done))

    def _announce(self, passage: _Passage, index: int, result: Any, seconds: float) -> None:
        failure = passage.stage.announce(index, result, seconds)
        cause = passage.outcomes.see(failure, fail_fast=self._limits.fail_fast)
        if cause:
            self._control.halt(cause)


def _prepare_all(stage: Stage, indices: Sequence[int]) -> list[Any]:
    out: list[Any] = []
    for index in indices:
        try:
            out.append(stage.prepare(index))
        except StoreError:
            raise
        except Exception as exc:
            out.append(failure_of(exc, stage.phase))
    return out


def _timed(work: Callable[..., T], *args: Any) -> tuple[T, float]:
    start = time.perf_counter()
    return work(*args), time.perf_counter() - start
