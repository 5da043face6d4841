from __future__ import annotations

import os
import signal

import anyio
import pytest

from editbench.cli.signals import Opening, Stopper


class Left(Exception):
    """The process would be gone."""


def leave() -> None:
    raise Left


class Requests:
    """A run that writes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[bool] = []

    def stop(self, *, now: bool = False) -> None:
        self.asked.append(now)


def test_once_is_a_request_twice_an_urgent_one_and_thrice_the_end() -> None:
    run, stopper = Requests(), Stopper(leave)
    stopper.aim(run)
    stopper.take(signal.SIGINT)
    stopper.take(signal.SIGINT)
    assert run.asked == [False, True]
    with pytest.raises(Left):
        stopper.take(signal.SIGINT)
    assert stopper.exit_code == 130


def test_the_first_signal_gives_the_exit_code() -> None:
    stopper = Stopper(leave)
    stopper.aim(Requests())
    stopper.take(signal.SIGTERM)
    stopper.take(signal.SIGINT)
    assert stopper.exit_code == 143


def test_before_the_run_is_open_once_cancels_and_twice_leaves() -> None:
    cancelled: list[bool] = []
    stopper = Stopper(pytest.fail)
    stopper.aim(Opening(lambda: cancelled.append(True), leave))
    stopper.take(signal.SIGINT)
    assert cancelled == [True] and stopper.exit_code == 130
    with pytest.raises(Left):
        stopper.take(signal.SIGINT)


@pytest.mark.anyio
async def test_real_signals_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("editbench.cli.signals.GRACE", 0.0)
    run = Requests()
    async with anyio.create_task_group() as tasks:
        stopper = Stopper(leave)
        stopper.aim(run)
        tasks.start_soon(stopper.watch)
        await anyio.wait_all_tasks_blocked()
        os.kill(os.getpid(), signal.SIGTERM)
        with anyio.fail_after(5):
            while len(run.asked) < 2:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert run.asked == [False, True]  # the second when patience ended
