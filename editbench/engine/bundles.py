"""Bundles quick batches: handing work to a thread costs as much as a small picture does.

A batch that takes longer than ``WORTHWHILE`` seconds anywhere goes alone, so that nothing waits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from editbench.engine.grouping import Groups

WORTHWHILE = 0.1  #: seconds of work that make the cost of a hand-over not matter
MOST = 64  #: pairs in a bundle, unless they are one batch

Place = Literal["prepare", "step", "finish"]


@dataclass(slots=True)
class Weighed:
    """A pair, and the bytes that it takes in RAM."""

    index: int
    bytes: int


@dataclass(slots=True)
class Bundle:
    """Batches that are decoded together, and stored together after their steps."""

    batches: list[list[Weighed]] = field(default_factory=list)
    pairs: list[Weighed] = field(default_factory=list)  #: of all batches
    bytes: int = 0

    def add(self, batch: list[Weighed]) -> None:
        self.batches.append(batch)
        self.pairs += batch
        self.bytes += sum(pair.bytes for pair in batch)


class Source:
    """The pairs of a stage: those that are known, then those that another stage hands on."""

    def __init__(
        self, known: Iterable[int], more: MemoryObjectReceiveStream[int] | None = None
    ) -> None:
        self._known = iter(known)
        self._more = more

    def now(self) -> int | None:
        """Return the next pair if there is one already."""
        found = next(self._known, None)
        if found is None and self._more:
            try:
                return self._more.receive_nowait()
            except (anyio.WouldBlock, anyio.EndOfStream):
                return None
        return found

    async def wait(self) -> int | None:
        """Return the next pair; None if there will be no more."""
        found = next(self._known, None)
        if found is None and self._more:
            try:
                return await self._more.receive()
            except anyio.EndOfStream:
                return None
        return found


class Pace:
    """How long a stage's work has taken lately, for its bytes."""

    def __init__(self, *, most_bytes: int) -> None:
        """Let no bundle take more than ``most_bytes``, unless it is one batch."""
        self._most_bytes = most_bytes
        self._rates: dict[Place, float] = {}  # seconds a byte: what pairs cost, by their size

    def saw(self, place: Place, *, seconds: float, bytes: int) -> None:
        """Learn from the latest work done in one place."""
        self._rates[place] = seconds / max(1, bytes)

    def is_enough(self, bundle: Bundle) -> bool:
        """Tell whether a bundle would be too much with one more batch like its last."""
        if len(self._rates) < len(get_args(Place)):
            return True
        last = bundle.batches[-1]
        bytes = bundle.bytes + sum(pair.bytes for pair in last)
        return (
            max(self._rates.values()) * bytes > WORTHWHILE
            or bytes > self._most_bytes
            or len(bundle.pairs) + len(last) > MOST
        )


async def bundled(
    source: Source, groups: Groups, *, weigh: Callable[[int], int], pace: Pace
) -> AsyncIterator[Bundle]:
    """Yield what is there, in bundles; wait for more pairs only when there is nothing to yield."""
    bundle = Bundle()
    while True:
        index = source.now()
        if index is None:
            if bundle.batches:
                yield bundle
                bundle = Bundle()
            index = await source.wait()
            if index is None:
                break
        if group := groups.add(index):
            bundle.add([Weighed(index, weigh(index)) for index in group])
            if pace.is_enough(bundle):
                yield bundle
                bundle = Bundle()
    for group in groups.rest():
        bundle = Bundle()
        bundle.add([Weighed(index, weigh(index)) for index in group])
        yield bundle
