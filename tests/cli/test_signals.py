from __future__ import annotations

import os
import signal
from typing import NoReturn

import anyio
import pytest

from editbench.cli.signals import Stopper


class Left(Exception):
    """The process would be gone."""


def leave(code: int) -> NoReturn:
    raise Left(code)


class Requests:
    """A run that writes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[bool] = []

    def stop(self, *, now: bool = False) -> None:
        self.asked.append(now)


def test_once_is_a_request_twice_an_urgent_one_and_thrice_the_end() -> None:
    run, stopper = Requests(), Stopper(pytest.fail, leave=leave)
    stopper.open(run)
    stopper.take(signal.SIGINT)
    stopper.take(signal.SIGINT)
    assert run.asked == [False, True]
    with pytest.raises(Left, match="130"):
        stopper.take(signal.SIGINT)


def test_the_first_signal_gives_the_exit_code() -> None:
    stopper = Stopper(pytest.fail, leave=leave)
    stopper.open(Requests())
    stopper.take(signal.SIGTERM)
    stopper.take(signal.SIGINT)
    assert stopper.exit_code == 143


def test_before_the_run_is_open_a_signal_cancels() -> None:
    cancelled: list[bool] = []
    stopper = Stopper(lambda: cancelled.append(True), leave=leave)
    stopper.take(signal.SIGINT)
    assert cancelled and stopper.exit_code == 130


@pytest.mark.anyio
async def test_real_signals_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("editbench.cli.signals.GRACE", 0.0)
    run = Requests()
    async with anyio.create_task_group() as tasks:
        stopper = Stopper(tasks.cancel_scope.cancel, leave=leave)
        stopper.open(run)
        tasks.start_soon(stopper.watch)
        await anyio.wait_all_tasks_blocked()
        os.kill(os.getpid(), signal.SIGTERM)
        with anyio.fail_after(5):
            while len(run.asked) < 2:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert run.asked == [False, True]  # the second when patience ended
