from __future__ import annotations

import threading
from collections.abc import Iterator

import anyio
import pytest

from editbench.engine.lanes import Lane

pytestmark = pytest.mark.anyio


@pytest.fixture
def lane() -> Iterator[Lane]:
    made = Lane("test")
    yield made
    made.close()


async def test_every_call_of_a_lane_runs_on_its_one_thread(lane: Lane) -> None:
    names = [await lane.run(lambda: threading.current_thread().name) for _ in range(50)]
    await anyio.to_thread.run_sync(lambda: None)
    assert set(names) == {"test-0"}


async def test_calls_run_in_the_order_they_were_made(lane: Lane) -> None:
    order: list[int] = []
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(lane.run, order.append, number)
    assert order == list(range(20))


async def test_some_calls_run_before_all_others_that_wait(lane: Lane) -> None:
    order: list[int] = []
    release = threading.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lane.run, release.wait, 5)
        for number in (3, 4, 5):
            tasks.start_soon(lane.run, order.append, number)
        for number in (1, 2):
            tasks.start_soon(lane.run_first, order.append, number)
        await anyio.wait_all_tasks_blocked()
        release.set()
    assert order == [1, 2, 3, 4, 5]


async def test_an_error_reaches_the_caller_and_the_lane_goes_on(lane: Lane) -> None:
    with pytest.raises(ZeroDivisionError):
        await lane.run(lambda: 1 // 0)
    assert await lane.run(max, 2, 3) == 3


async def test_cancelling_ends_the_wait_and_not_the_call(lane: Lane) -> None:
    started, release, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        release.wait(5)
        done.set()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lane.run, work)
            await anyio.to_thread.run_sync(started.wait, 5)
            scope.cancel()
    assert not done.is_set()
    release.set()
    await lane.run(lambda: None)
    assert done.is_set()


async def test_a_wider_lane_runs_calls_at_the_same_time() -> None:
    wide = Lane("wide", threads=2)
    meet = threading.Barrier(2, timeout=5)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wide.run, meet.wait)
        tasks.start_soon(wide.run, meet.wait)
    assert wide.busy > 0
    wide.close()


def test_a_lane_ends_its_threads() -> None:
    lane = Lane("short", threads=3)
    lane.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("short")]
