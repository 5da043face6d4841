"""A device for tests and for trying plans: real memory, a virtual clock, faults on request."""

from __future__ import annotations

import errno
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
    registration: bool = False
    read: int = 0  #: the piece of a file that cannot be read


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
        self.allocations = 0  #: so far, failed ones too
        self.copies = 0  #: chunks so far
        self.reads = 0  #: pieces so far
        self._reading = Lock()
        self.step_bytes = 0  #: what a step is to be seen taking

    def clock(self) -> float:
        """Return the seconds that its copies have taken."""
        return self._seconds

    def allocate(self, size: int) -> torch.Tensor:
        self.allocations += 1
        if self.allocations == self.faults.allocation:
            raise OutOfMemory(f"{self.name} ran out of memory, as it was told to")
        return super().allocate(size)

    def release(self, memory: torch.Tensor) -> None:
        super().release(memory)
        memory.fill_(0xFF)

    def discard(self, memory: torch.Tensor) -> None:
        memory.fill_(0xFF)

    def read(self, file: int, memory: torch.Tensor, offset: int) -> None:
        with self._reading:
            self.reads += 1
            fails = self.reads == self.faults.read
        if fails:
            raise OSError(errno.EIO, f"{self.name} failed to read, as it was told to")
        super().read(file, memory, offset)

    def taken(self) -> int:
        return self.step_bytes

    def register(self, memory: torch.Tensor) -> bool:
        return not self.faults.registration

    def _copy_chunk(self, target: torch.Tensor, source: torch.Tensor) -> None:
        self.copies += 1
        if self.copies == self.faults.copy:
            raise RuntimeError(f"{self.name} failed to copy, as it was told to")
        super()._copy_chunk(target, source)
        if self.copies == self.faults.damage:
            target[-1] ^= 1
        self._seconds += target.numel() / self._rate
