from __future__ import annotations

import gc
import weakref
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from editbench.engine.memory import (
    ByteLimit,
    collecting_only_new,
    host_available,
    host_budget,
    weights_budget,
)

pytestmark = pytest.mark.anyio


def machine(root: Path, **files: str) -> Path:
    names = {
        "meminfo": "proc/meminfo",
        "v2_max": "sys/fs/cgroup/memory.max",
        "v2_now": "sys/fs/cgroup/memory.current",
        "v2_stat": "sys/fs/cgroup/memory.stat",
        "v1_stat": "sys/fs/cgroup/memory/memory.stat",
        "v1_max": "sys/fs/cgroup/memory/memory.limit_in_bytes",
        "v1_now": "sys/fs/cgroup/memory/memory.usage_in_bytes",
    }
    for name, text in files.items():
        path = root / names[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = "MemTotal: 32000 kB\nMemAvailable:   16000 kB\n"


def test_without_a_container_the_kernels_word_counts(tmp_path: Path) -> None:
    assert host_available(machine(tmp_path, meminfo=MEMINFO)) == 16000 * 1024


def test_a_containers_limit_counts_less_what_it_uses(tmp_path: Path) -> None:
    root = machine(tmp_path, meminfo=MEMINFO, v2_max="5000000\n", v2_now="1000000\n")
    assert host_available(root) == 4_000_000


def test_a_container_of_the_old_kind_counts_too(tmp_path: Path) -> None:
    root = machine(tmp_path, meminfo=MEMINFO, v1_max="3000000", v1_now="1000000")
    assert host_available(root) == 2_000_000


def test_cached_files_do_not_count_as_used(tmp_path: Path) -> None:
    stat = "anon 1\ninactive_file 300000\nactive_file 100000\n"
    totals = "inactive_file 7\ntotal_inactive_file 300000\ntotal_active_file 100000\n"
    new = machine(tmp_path / "v2", v2_max="5000000", v2_now="1000000", v2_stat=stat)
    old = machine(tmp_path / "v1", v1_max="5000000", v1_now="1000000", v1_stat=totals)
    assert host_available(new) == host_available(old) == 4_400_000


def test_a_container_without_a_limit_limits_nothing(tmp_path: Path) -> None:
    root = machine(tmp_path, meminfo=MEMINFO, v2_max="max\n", v2_now="1000000\n")
    assert host_available(root) == 16000 * 1024


def test_this_machine_has_some_memory() -> None:
    assert 10**8 < host_available() < 10**14


def test_a_budget_is_as_asked_or_a_share() -> None:
    assert host_budget(123, available=10**10) == 123
    assert host_budget(0.5, available=10**10) == 5 * 10**9
    assert host_budget(None, available=10 * 10**9) == 2 * 10**9
    assert host_budget(None, available=0) > 0
    assert weights_budget(123, available=10**10, images=1) == 123
    assert weights_budget(0.5, available=10**10, images=1) == 5 * 10**9
    assert weights_budget(None, available=100 * 10**9, images=10**9) == 94 * 10**9
    assert weights_budget(None, available=10**9, images=10**9) == 0


def test_images_leave_room_for_weights_as_far_as_they_can() -> None:
    free = 130 * 10**9
    assert host_budget(None, available=free) == 32 * 10**9
    assert host_budget(None, available=free, weights=50 * 10**9) == 32 * 10**9
    assert host_budget(None, available=free, weights=110 * 10**9) == 18 * 10**9
    assert host_budget(None, available=free, weights=200 * 10**9) == 8 * 10**9


async def test_work_beyond_the_limit_waits_its_turn() -> None:
    limit, order = ByteLimit(10), list[str]()

    async def work(name: str, size: int) -> None:
        async with limit.hold(size):
            order.append(name)
            await anyio.wait_all_tasks_blocked()

    async with anyio.create_task_group() as tasks:
        await limit.acquire(8)
        for name, size in (("large", 6), ("small", 1)):
            tasks.start_soon(work, name, size)
            await anyio.wait_all_tasks_blocked()
        assert order == []  # the small one would fit, but may not overtake
        limit.release(8)
    assert order == ["large", "small"]
    assert limit.used == 0


async def test_work_larger_than_the_limit_goes_alone() -> None:
    limit = ByteLimit(10)
    async with limit.hold(50):
        assert limit.used == 50
        with anyio.move_on_after(0) as scope:
            await limit.acquire(1)
        assert scope.cancelled_caught
    async with limit.hold(1):
        assert limit.used == 1


async def test_a_waiter_that_is_cancelled_lets_the_next_one_in() -> None:
    limit, entered = ByteLimit(10), anyio.Event()

    async def small() -> None:
        async with limit.hold(2):
            entered.set()

    async def cancel(scope: anyio.CancelScope) -> None:
        await anyio.wait_all_tasks_blocked()
        assert not entered.is_set()
        scope.cancel()

    await limit.acquire(8)
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            tasks.start_soon(cancel, scope)
            async with anyio.create_task_group() as waiting:
                waiting.start_soon(limit.acquire, 9)
                await anyio.sleep(0)
                tasks.start_soon(small)
    assert entered.is_set()


@given(st.lists(st.integers(1, 30), max_size=30), st.integers(1, 20))
def test_the_limit_holds_but_for_work_that_exceeds_it_alone(sizes: list[int], most: int) -> None:
    limit = ByteLimit(most)

    async def work(size: int) -> None:
        async with limit.hold(size):
            await anyio.lowlevel.checkpoint()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for size in sizes:
                tasks.start_soon(work, size)

    anyio.run(main)
    assert limit.used == 0
    assert limit.peak <= max([most, *sizes])


class Cycle:
    """Garbage that only the collector finds, once nothing else refers to it."""

    def __init__(self) -> None:
        self.own = self


def test_only_what_is_new_is_collected_meanwhile() -> None:
    old = Cycle()
    gone = [weakref.ref(old), weakref.ref(Cycle())]
    with collecting_only_new():
        assert gone[1]() is None  # it was garbage before
        gone.append(weakref.ref(Cycle()))
        del old
        gc.collect()
        assert gone[2]() is None and gone[0]() is not None
    gc.collect()
    assert gone[0]() is None
