"""Groups pairs by shape, so that a device gets full batches and no pair starves."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

WINDOW = 8  #: batches' worth of pairs that are looked over


class Groups:
    """Pairs that wait for others of their shape; none waits while the window is full."""

    def __init__(self, shape_of: Callable[[int], Hashable], *, size: int) -> None:
        """Make groups of one shape, ``size`` at most."""
        self._shape_of = shape_of
        self._size = size
        self._waiting: dict[Hashable, list[int]] = {}  # in order of each group's oldest pair
        self._count = 0

    def add(self, index: int) -> list[int] | None:
        """Take a pair in. Return a group that is full, or that has waited long enough."""
        if self._size <= 1:
            return [index]
        shape = self._shape_of(index)
        group = self._waiting.setdefault(shape, [])
        group.append(index)
        self._count += 1
        if len(group) < self._size:
            if self._count < WINDOW * self._size:
                return None
            shape = next(iter(self._waiting))
        group = self._waiting.pop(shape)
        self._count -= len(group)
        return group

    def rest(self) -> Iterator[list[int]]:
        """Yield the groups that will not get any fuller."""
        yield from self._waiting.values()
