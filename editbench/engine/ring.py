"""Reads pieces of a file ahead, several at once, into a few pinned slots of host memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from editbench.engine import arena
from editbench.engine.devices import Device, Stop, Wait, at_once, never
from editbench.errors import Stopped

if TYPE_CHECKING:
    import torch

SLOTS = 16  #: pieces in memory at a time
READERS = 8  #: threads that read; a fast disk wants as many transfers at once


class Ring:
    """The slots, and the threads that fill them. Used from one thread."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._memory = arena.host_memory(SLOTS * arena.PIECE)
        self._slots = self._memory.view(SLOTS, arena.PIECE)
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="weights")
        self._pinned = device.register(self._memory)

    @property
    def bytes(self) -> int:
        return self._memory.numel()

    def each(
        self,
        numbers: Iterable[int],
        read: Callable[[int, torch.Tensor], None],
        use: Callable[[int, torch.Tensor], Wait],
        *,
        stop: Stop = never,
    ) -> None:
        """Have pieces read into slots by ``read``, on other threads; ``use`` each in its order.

        ``use`` returns what waits until its slot may be overwritten. Raises what ``read`` and
        ``use`` raise, and ``Stopped`` between two pieces; nothing touches the slots afterwards.
        """
        free: deque[tuple[torch.Tensor, Wait]] = deque(
            (slot, at_once) for slot in self._slots.unbind()
        )
        ahead: deque[tuple[int, torch.Tensor, Future[None]]] = deque()
        todo = iter(numbers)
        try:
            while True:
                while free and (number := next(todo, None)) is not None:
                    slot, until_free = free.popleft()
                    until_free()
                    ahead.append((number, slot, self._pool.submit(read, number, slot)))
                if not ahead:
                    break
                number, slot, reading = ahead.popleft()
                reading.result()
                if stop():
                    raise Stopped("stopped while a model was being moved")
                free.append((slot, use(number, slot)))
        finally:
            wait([reading for *_, reading in ahead])
            for _, until_free in free:
                until_free()

    def close(self) -> None:
        """End the threads and unpin the slots."""
        self._pool.shutdown()
        if self._pinned:
            self.device.unregister(self._memory)
