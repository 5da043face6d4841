"""Ctrl-C and SIGTERM as requests that a run can follow."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Protocol

import anyio

GRACE = 20.0  #: seconds from SIGTERM until the step on the device is given up
INTERRUPTED = 130
TERMINATED = 143


class Stoppable(Protocol):
    """A run that can be asked to stop."""

    def stop(self, *, now: bool = False) -> None:
        """Finish what is on the device and stop; with ``now``, stop at the next step."""


class Opening:
    """A run that is not open yet, so there is nothing to finish."""

    def __init__(self, cancel: Callable[[], object], leave: Callable[[], object]) -> None:
        self._cancel = cancel
        self._leave = leave

    def stop(self, *, now: bool = False) -> None:
        """Give up; with ``now``, do not wait for what is being read or downloaded."""
        if now:
            self._leave()
        else:
            self._cancel()


class Stopper:
    """Asks once to finish and stop, twice to stop at the next step, and leaves at the third."""

    def __init__(self, leave: Callable[[], object]) -> None:
        self.exit_code: int | None = None  #: what the first signal calls for
        self._leave = leave
        self._run: Stoppable | None = None
        self._count = 0

    @property
    def urgent(self) -> bool:
        """Whether the step on the device was not to be waited for."""
        return self._count > 1

    def aim(self, run: Stoppable) -> None:
        """Take what signals are for from now on."""
        self._run = run

    async def watch(self) -> None:
        """Wait for signals, until cancelled."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
            async with anyio.create_task_group() as tasks:
                async for number in received:
                    self.take(number)
                    if number == signal.SIGTERM:
                        tasks.start_soon(self._lose_patience)

    def take(self, number: int) -> None:
        """Act on one signal."""
        code = TERMINATED if number == signal.SIGTERM else INTERRUPTED
        self.exit_code = self.exit_code or code
        self._count += 1
        if self._count > 2:
            self._leave()
        elif self._run:
            self._run.stop(now=self._count == 2)

    async def _lose_patience(self) -> None:
        await anyio.sleep(GRACE)
        if self._run:
            self._run.stop(now=True)
