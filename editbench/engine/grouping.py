"""Groups pairs by shape, so that a device gets full batches and no pair starves."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Hashable

WINDOW = 8  #: batches' worth of pairs that are looked over


async def grouped(
    indices: AsyncIterable[int], shape_of: Callable[[int], Hashable], *, size: int
) -> AsyncIterator[list[int]]:
    """Yield groups of one shape, ``size`` at most. None waits while the window is full."""
    if size <= 1:
        async for index in indices:
            yield [index]
        return
    waiting: dict[Hashable, list[int]] = {}  # in order of each group's oldest pair
    count = 0
    async for index in indices:
        shape = shape_of(index)
        group = waiting.setdefault(shape, [])
        group.append(index)
        count += 1
        if len(group) < size and count < WINDOW * size:
            continue
        if len(group) < size:
            shape = next(iter(waiting))
        group = waiting.pop(shape)
        count -= len(group)
        yield group
    for group in waiting.values():
        yield group
