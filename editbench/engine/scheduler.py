"""Keeps a device fed: decodes ahead of it, encodes and stores behind it, bounded in bytes.

One stage is one phase's way for its pairs: ``prepare`` on the pool, ``step`` on the device's lane,
``finish`` on the pool. Does not know what an edit or a score is, nor which model is resident.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import AsyncIterable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream

from editbench.engine.events import Event, Phase, Retrying
from editbench.engine.failures import FAILED, FirstFailures, failure_of, first_line
from editbench.engine.grouping import grouped
from editbench.engine.lanes import Lane
from editbench.engine.memory import ByteLimit
from editbench.errors import EditbenchError, OutOfMemory, Stopped, StoreError
from editbench.records import Failure

AHEAD = 3  #: batches decoded before the device asks for them


class Stage(Protocol):
    """What one phase does with its pairs. ``prepare`` and ``finish`` run on several threads."""

    @property
    def phase(self) -> Phase: ...

    @property
    def max_batch(self) -> int: ...

    def weigh(self, index: int) -> int:
        """Return the bytes that a pair takes in RAM from its decoding until it is durable."""

    def shape(self, index: int) -> Hashable:
        """Return what must be equal within a batch."""

    def label(self, index: int) -> str:
        """Return the pair's id."""

    def prepare(self, index: int) -> Any:
        """Return what the step needs. An exception fails this pair."""

    def step(self, inputs: Sequence[Any], stop: Callable[[], bool]) -> Sequence[Any]:
        """Return one output, or a ``Failure``, for each input."""

    def finish(self, done: Sequence[Finished]) -> Sequence[Any]:
        """Make outputs durable and return what is to be announced for each. Gets no failures."""

    def announce(self, index: int, result: Any, seconds: float) -> Failure | None:
        """Tell the world of a durable result or a ``Failure``. Called on the event loop.

        Returns the failure if it is one that counts against the run.
        """


@dataclass(frozen=True, slots=True)
class Ready:
    """A pair before its step."""

    index: int
    input: Any
    bytes: int  #: held from the limit


@dataclass(frozen=True, slots=True)
class Finished:
    """A pair after its step."""

    index: int
    input: Any
    output: Any  #: of the step, or a ``Failure``
    seconds: float  #: on the device
    batch: int  #: pairs in the step
    bytes: int  #: held from the limit until the result is durable


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


class _Attempt(NamedTuple):
    group: list[Ready]
    number: int = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What a scheduler may use and how patient it is."""

    retries: int = 1
    item_timeout: float | None = None  #: seconds on the device
    fail_fast: bool = False


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
        self._batch_limits: dict[tuple[Phase, Hashable], int] = {}

    async def run(self, stage: Stage, indices: AsyncIterable[int]) -> None:
        """Take every pair through the stage, until done, stopped or halted (see ``Control``)."""
        send, receive = anyio.create_memory_object_stream[_Batch](AHEAD)
        outcomes = FirstFailures(stage.phase)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._feed, stage, indices, send, tasks)
            async with receive:
                async for batch in receive:
                    await batch.ready.wait()
                    left = await self._work(stage, batch, tasks, outcomes)
                    self._limit.release(left)

    async def _feed(
        self,
        stage: Stage,
        indices: AsyncIterable[int],
        send: MemoryObjectSendStream[_Batch],
        tasks: TaskGroup,
    ) -> None:
        async with send:
            async for group in grouped(indices, stage.shape, size=stage.max_batch):
                sizes = [stage.weigh(index) for index in group]
                await self._limit.acquire(sum(sizes))
                if not self._control.feeding:
                    self._limit.release(sum(sizes))
                    return
                batch = _Batch(group, sizes)
                tasks.start_soon(self._prepare, stage, batch)
                await send.send(batch)

    async def _prepare(self, stage: Stage, batch: _Batch) -> None:
        try:
            if self._control.feeding:
                batch.inputs = await self._pool.run(_prepare_all, stage, batch.indices)
        except StoreError as exc:
            self._control.halt(exc)
        finally:
            batch.ready.set()

    async def _work(
        self, stage: Stage, batch: _Batch, tasks: TaskGroup, outcomes: FirstFailures
    ) -> int:
        """Take a batch through its steps. Return the bytes that nothing holds any more."""
        left = sum(batch.sizes)
        if not self._control.feeding or not batch.inputs:
            return left
        rows = list(map(Ready, batch.indices, batch.inputs, batch.sizes))
        batch.inputs = []
        for row in rows:
            if isinstance(row.input, Failure):
                self._announce(stage, row.index, row.input, 0.0, outcomes)
        good = [row for row in rows if not isinstance(row.input, Failure)]
        pending = deque([_Attempt(good)] if good else [])
        del rows, good
        while pending and self._control.feeding:
            attempt = pending.popleft()
            if len(attempt.group) > (size := self._most(stage, attempt)):
                pending.extendleft(reversed(_split(attempt, size)))
                continue
            done, again = await self._step(stage, attempt)
            pending.extendleft(reversed(again))
            if done:
                left -= sum(item.bytes for item in done)
                tasks.start_soon(self._finish, stage, done, outcomes)
        return left

    def _most(self, stage: Stage, attempt: _Attempt) -> int:
        shape = stage.shape(attempt.group[0].index)
        return self._batch_limits.get((stage.phase, shape), stage.max_batch)

    async def _step(self, stage: Stage, attempt: _Attempt) -> tuple[list[Finished], list[_Attempt]]:
        """Run one step. Return what is finished and what to try again."""
        group = attempt.group
        deadline = math.inf
        if self._limits.item_timeout is not None:
            deadline = time.monotonic() + self._limits.item_timeout * len(group)

        def stop() -> bool:
            return self._control.now or time.monotonic() > deadline

        outputs: Sequence[Any]
        try:
            inputs = [row.input for row in group]
            outputs, seconds = await self._lane.run(_timed_step, stage, inputs, stop)
        except Stopped:
            if self._control.now:
                return [], []
            text = f"took longer than {self._limits.item_timeout:g} s on the device"
            late = Failure(FAILED[stage.phase], "Timeout", text, attempt.number)
            outputs, seconds = [late] * len(group), 0.0
        except Exception as exc:
            again = self._again(stage, attempt, exc)
            if again:
                return [], again
            outputs, seconds = [failure_of(exc, stage.phase, attempts=attempt.number)], 0.0
        share = seconds / len(group)
        return [
            Finished(row.index, row.input, output, share, len(group), row.bytes)
            for row, output in zip(group, outputs, strict=True)
        ], []

    def _again(self, stage: Stage, attempt: _Attempt, exc: Exception) -> list[_Attempt]:
        group, number = attempt
        if len(group) > 1:
            # A batch that is too large is halved; any other failure is pinned on one pair.
            size = 1
            if isinstance(exc, OutOfMemory):
                size = len(group) // 2
                self._batch_limits[stage.phase, stage.shape(group[0].index)] = size
            again = _split(attempt, size)
        elif number <= self._limits.retries:
            size, again = 1, [_Attempt(group, number + 1)]
        else:
            return []
        label = stage.label(group[0].index)
        self._emit(Retrying(time.time(), stage.phase, label, first_line(exc), size))
        return again

    async def _finish(self, stage: Stage, done: list[Finished], outcomes: FirstFailures) -> None:
        try:
            good = [item for item in done if not isinstance(item.output, Failure)]
            results = iter(await self._pool.run(stage.finish, good) if good else ())
            for item in done:
                failed = isinstance(item.output, Failure)
                result = item.output if failed else next(results)
                self._announce(stage, item.index, result, item.seconds, outcomes)
        except StoreError as exc:
            self._control.halt(exc)
        finally:
            self._limit.release(sum(item.bytes for item in done))

    def _announce(
        self, stage: Stage, index: int, result: Any, seconds: float, outcomes: FirstFailures
    ) -> None:
        failure = stage.announce(index, result, seconds)
        cause = outcomes.see(failure, fail_fast=self._limits.fail_fast)
        if cause:
            self._control.halt(cause)


def _split(attempt: _Attempt, size: int) -> list[_Attempt]:
    group = attempt.group
    return [_Attempt(group[i : i + size]) for i in range(0, len(group), size)]


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


def _timed_step(
    stage: Stage, inputs: Sequence[Any], stop: Callable[[], bool]
) -> tuple[Sequence[Any], float]:
    start = time.perf_counter()
    outputs = stage.step(inputs, stop)
    return outputs, time.perf_counter() - start
