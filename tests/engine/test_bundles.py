"""Batches that go through the engine together, and pairs that wait for others of their shape."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from editbench.engine.bundles import MOST, WORTHWHILE, Bundle, Pace, Source, bundled
from editbench.engine.grouping import WINDOW, Groups

pytestmark = pytest.mark.anyio


def pace_of(seconds: float, *, most_bytes: int = 10**9) -> Pace:
    """Return a pace of so many seconds for each byte, in the slowest place."""
    pace = Pace(most_bytes=most_bytes)
    pace.saw("prepare", seconds=seconds, bytes=1)
    pace.saw("step", seconds=seconds / 2, bytes=1)
    pace.saw("finish", seconds=0, bytes=1)
    return pace


async def bundles(known: Sequence[int], pace: Pace, *, batch: int = 2) -> list[list[list[int]]]:
    source, groups = Source(known), Groups(lambda index: 0, size=batch)
    found = [bundle async for bundle in bundled(source, groups, weigh=lambda _: 1, pace=pace)]
    assert all(bundle.bytes == len(bundle.pairs) for bundle in found)
    return [[[pair.index for pair in batch] for batch in bundle.batches] for bundle in found]


async def test_batches_go_alone_until_it_is_known_how_long_they_take() -> None:
    pace = Pace(most_bytes=100)
    assert await bundles(range(6), pace) == [[[0, 1]], [[2, 3]], [[4, 5]]]
    pace.saw("prepare", seconds=0, bytes=1)
    pace.saw("step", seconds=0, bytes=1)
    assert await bundles(range(4), pace) == [[[0, 1]], [[2, 3]]]
    pace.saw("finish", seconds=0, bytes=1)
    assert await bundles(range(4), pace) == [[[0, 1], [2, 3]]]


async def test_bundles_are_worth_a_hand_over_and_no_longer() -> None:
    four = await bundles(range(20), pace_of(WORTHWHILE / 5))
    assert [[len(batch) for batch in bundle] for bundle in four] == [[2, 2]] * 5
    assert await bundles(range(4), pace_of(WORTHWHILE)) == [[[0, 1]], [[2, 3]]]


async def test_bundles_are_bounded_in_bytes_and_in_pairs() -> None:
    by_bytes = await bundles(range(18), pace_of(0, most_bytes=7))
    assert [sum(map(len, bundle)) for bundle in by_bytes] == [6, 6, 6]
    by_pairs = await bundles(range(3 * MOST), pace_of(0), batch=MOST // 2)
    assert [sum(map(len, bundle)) for bundle in by_pairs] == [MOST] * 3
    assert await bundles(range(2 * MOST), pace_of(0, most_bytes=1), batch=2 * MOST) == [
        [list(range(2 * MOST))]
    ]


async def test_what_is_there_does_not_wait_for_what_is_not() -> None:
    send, more = anyio.create_memory_object_stream[int](10)
    seen: list[list[int]] = []

    async def read() -> None:
        groups = Groups(lambda index: 0, size=1)
        source = Source([0, 1], more)
        bundles = bundled(source, groups, weigh=lambda _: 1, pace=pace_of(0))
        async for bundle in bundles:
            indices = [pair.index for pair in bundle.pairs]
            seen.append(indices)

    with send, more, anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            assert seen == [[0, 1]]
            for index in (2, 3, 4):
                send.send_nowait(index)
            await anyio.wait_all_tasks_blocked()
            assert seen == [[0, 1], [2, 3, 4]]
            send.close()


@given(
    shapes=st.lists(st.integers(0, 3), max_size=120),
    size=st.integers(1, 5),
    most_bytes=st.integers(1, 30),
    known=st.integers(0, 120),
)
def test_every_pair_comes_once_in_full_batches_of_one_shape_and_none_starves(
    shapes: list[int], size: int, most_bytes: int, known: int
) -> None:
    async def read() -> list[Bundle]:
        send, more = anyio.create_memory_object_stream[int](len(shapes))
        for index in range(known, len(shapes)):
            send.send_nowait(index)
        send.close()
        groups = Groups(lambda index: shapes[index], size=size)
        source = Source(range(min(known, len(shapes))), more)
        with more:
            pace = pace_of(0, most_bytes=most_bytes)
            bundles = bundled(source, groups, weigh=lambda _: 1, pace=pace)
            return [bundle async for bundle in bundles]

    found = anyio.run(read)
    batches = [[pair.index for pair in batch] for bundle in found for batch in bundle.batches]
    order = [index for batch in batches for index in batch]
    assert sorted(order) == list(range(len(shapes)))
    for batch in batches:
        assert len({shapes[index] for index in batch}) == 1 and len(batch) <= size
    for place, index in enumerate(order):
        assert place - index <= WINDOW * size  # what came later and went before
    for bundle in found:
        assert bundle.bytes <= most_bytes or len(bundle.batches) == 1
