"""What a device's thread does with the batches that are ready: steps, halves, retries, lateness.

Knows no event loop. Taking one step for every batch that was added, and those that are said to be
left, takes all pairs through in their order, those to be tried again first.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from editbench.engine.events import Phase, Retrying
from editbench.engine.failures import FAILED, failure_of, first_line
from editbench.errors import OutOfMemory, Stopped
from editbench.records import Failure

LATER: Any = object()  #: an output: not now, so that the pair has to come again
BatchLimits = dict[tuple[Phase, Hashable], int]  #: the most pairs of a shape that fit a step


class Stepping(Protocol):
    """What a stage does on the device."""

    @property
    def phase(self) -> Phase: ...

    @property
    def max_batch(self) -> int: ...

    def shape(self, index: int) -> Hashable:
        """Return what must be equal within a batch."""

    def label(self, index: int) -> str:
        """Return the pair's id."""

    def step(self, inputs: Sequence[Any], stop: Callable[[], bool]) -> Sequence[Any]:
        """Return one output, a ``Failure`` or ``LATER`` for each input."""

    def relieve(self) -> bool:
        """Make room on the device after a pair alone ran out; return whether that worked."""


class Wishes(Protocol):
    """What the run is asked to do."""

    @property
    def feeding(self) -> bool:
        """False once nothing new is to start."""

    @property
    def now(self) -> bool:
        """True once the step on the device is to be given up."""


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


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient a run is."""

    retries: int = 1
    item_timeout: float | None = None  #: seconds on the device
    fail_fast: bool = False


class Stepped(NamedTuple):
    """What some steps came to."""

    done: Sequence[Finished] = ()
    left: int = 0  #: steps that are still to be taken
    retrying: Sequence[Retrying] = ()


class _Attempt(NamedTuple):
    group: list[Ready]
    number: int = 1


class Steps:
    """The pairs of a stage that wait for the device. ``some`` belongs to the device's thread."""

    def __init__(
        self, stage: Stepping, *, wishes: Wishes, limits: Limits, batch_limits: BatchLimits
    ) -> None:
        """``batch_limits`` is added to as steps run out of memory."""
        self._stage = stage
        self._wishes = wishes
        self._limits = limits
        self._batch_limits = batch_limits
        self._waiting: deque[_Attempt] = deque()

    def add(self, group: list[Ready]) -> None:
        """Have some pairs of one shape wait for their turn. Any thread."""
        self._waiting.append(_Attempt(group))

    def abandon(self) -> int:
        """Forget what waits, once no step is taken any more; return the bytes that it held."""
        left = sum(row.bytes for attempt in self._waiting for row in attempt.group)
        self._waiting.clear()
        return left

    def some(self, count: int, *, seconds: float) -> Stepped:
        """Take up to ``count`` steps, of which the last begins within so many seconds.

        None is taken if nothing new is to start. The errors of steps are not raised.
        """
        done: list[Finished] = []
        retrying: list[Retrying] = []
        end = time.perf_counter() + seconds
        while True:
            one = self._next()
            done += one.done
            retrying += one.retrying
            count += one.left - 1
            if not count or time.perf_counter() > end:
                return Stepped(done, count, retrying)

    def _next(self) -> Stepped:
        if not self._wishes.feeding:
            return Stepped()
        attempt = self._waiting.popleft()
        size = self._most(attempt)
        if len(attempt.group) > size:
            attempt, *rest = _split(attempt, size)
            self._waiting.extendleft(reversed(rest))
            done, left, retrying = self._attempt(attempt)
            return Stepped(done, left + len(rest), retrying)
        return self._attempt(attempt)

    def _most(self, attempt: _Attempt) -> int:
        shape = self._stage.shape(attempt.group[0].index)
        return self._batch_limits.get((self._stage.phase, shape), self._stage.max_batch)

    def _attempt(self, attempt: _Attempt) -> Stepped:
        group, number = attempt
        deadline = math.inf
        if self._limits.item_timeout is not None:
            deadline = time.monotonic() + self._limits.item_timeout * len(group)

        def stop() -> bool:
            return self._wishes.now or time.monotonic() > deadline

        start = time.perf_counter()
        try:
            outputs = self._stage.step([row.input for row in group], stop)
            return Stepped(_finished(group, outputs, time.perf_counter() - start))
        except Stopped as exc:
            if self._wishes.now:
                self._waiting.appendleft(attempt)
                return Stepped()
            if time.monotonic() <= deadline:  # nobody had asked
                return self._failed(attempt, exc)
            text = f"took longer than {self._limits.item_timeout:g} s on the device"
            late = Failure(FAILED[self._stage.phase], "Timeout", text, number)
            return Stepped(_finished(group, [late] * len(group), 0.0))
        except Exception as exc:
            return self._failed(attempt, exc)

    def _failed(self, attempt: _Attempt, exc: Exception) -> Stepped:
        group, number = attempt
        stage = self._stage
        if len(group) > 1:
            # A batch that is too large is halved; any other failure is pinned on one pair.
            size = 1
            if isinstance(exc, OutOfMemory):
                size = len(group) // 2
                self._batch_limits[stage.phase, stage.shape(group[0].index)] = size
            again = _split(attempt, size)
        elif isinstance(exc, OutOfMemory) and stage.relieve():
            size, again = 1, [attempt]
        elif number <= self._limits.retries:
            size, again = 1, [_Attempt(group, number + 1)]
        else:
            return Stepped(_finished(group, [failure_of(exc, stage.phase, attempts=number)], 0.0))
        self._waiting.extendleft(reversed(again))
        label = stage.label(group[0].index)
        retrying = Retrying(time.time(), stage.phase, label, first_line(exc), size)
        return Stepped((), len(again), [retrying])


def _split(attempt: _Attempt, size: int) -> list[_Attempt]:
    group = attempt.group
    return [_Attempt(group[i : i + size]) for i in range(0, len(group), size)]


def _finished(group: Sequence[Ready], outputs: Sequence[Any], seconds: float) -> list[Finished]:
    share = seconds / len(group)
    return [
        Finished(row.index, row.input, output, share, len(group), row.bytes)
        for row, output in zip(group, outputs, strict=True)
    ]
