"""A device for tests and for trying plans: real memory, a virtual clock, faults on request."""

from __future__ import annotations

import errno
from collections import Counter
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from editbench.engine.devices import CpuDevice
from editbench.errors import OutOfMemory

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong on a simulated device; counted from 1, 0 is never."""

    allocation: int = 0  #: the one that runs out of memory
    copy: int = 0  #: the chunk that fails
    damage: int = 0  #: the chunk that arrives with one bit changed
    registration: int = 0  #: the memory that cannot be pinned
    read: int = 0  #: the piece of a file that cannot be read
    wait: int = 0  #: the wait for the device at which an earlier failure shows


class SimDevice(CpuDevice):
    """A pretend device with a clock of its own and faults. What it frees reads as NaN."""

    name = "sim"

    def __init__(
        self, budget: int, *, bytes_per_second: float = 25e9, faults: Faults = Faults()
    ) -> None:
        super().__init__(budget)
        self.faults = faults
        self._rate = bytes_per_second
        self._seconds = 0.0
        self._counting = Lock()
        self._pinned: dict[int, int] = {}  # bytes by address
        self.counts: Counter[str] = Counter()  #: how often what the faults name happened so far
        self.step_bytes = 0  #: what a step is to be seen taking

    @property
    def pinned(self) -> int:
        """Bytes of host memory that are pinned."""
        return sum(self._pinned.values())

    def clock(self) -> float:
        """Return the seconds that its copies have taken."""
        return self._seconds

    def allocate(self, size: int) -> torch.Tensor:
        if self._fails("allocation"):
            raise OutOfMemory(f"{self.name} ran out of memory, as it was told to")
        return super().allocate(size)

    def release(self, memory: torch.Tensor) -> None:
        super().release(memory)
        memory.fill_(0xFF)

    def discard(self, memory: torch.Tensor) -> None:
        memory.fill_(0xFF)

    def read(self, file: int, memory: torch.Tensor, offset: int) -> None:
        if self._fails("read"):
            raise OSError(errno.EIO, f"{self.name} failed to read, as it was told to")
        super().read(file, memory, offset)

    def synchronize(self) -> None:
        if self._fails("wait"):
            raise RuntimeError(f"{self.name} failed earlier, as it was told to")

    def taken(self) -> int:
        return self.step_bytes

    def register(self, memory: torch.Tensor) -> bool:
        if self._fails("registration"):
            return False
        if memory.numel():
            self._pinned[memory.data_ptr()] = memory.numel()
        return True

    def unregister(self, memory: torch.Tensor) -> None:
        if memory.numel():
            del self._pinned[memory.data_ptr()]

    def _copy_chunk(self, target: torch.Tensor, source: torch.Tensor) -> None:
        if self._fails("copy"):
            raise RuntimeError(f"{self.name} failed to copy, as it was told to")
        super()._copy_chunk(target, source)
        if self._fails("damage"):
            target[-1] ^= 1
        self._seconds += target.numel() / self._rate

    def _fails(self, kind: str) -> bool:
        with self._counting:  # files are read on several threads
            self.counts[kind] += 1
            return self.counts[kind] == int(getattr(self.faults, kind))
