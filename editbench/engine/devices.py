"""The few things that residency asks of a device: memory, copies into it, pinned host memory.

The processor is here; a GPU is in cuda, and one that simulates time and faults in simulated.
Everything above runs the same code on all of them.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from editbench.engine.arena import host_memory
from editbench.engine.memory import host_available
from editbench.errors import MachineError, OutOfMemory, Stopped
from editbench.units import format_bytes

if TYPE_CHECKING:
    import torch

CHUNK = 128 << 20  #: bytes of one copy, and so between two looks at ``stop``

Stop = Callable[[], bool]
Wait = Callable[[], None]


def never() -> bool:
    """Do not stop."""
    return False


def at_once() -> None:
    """Do not wait."""


class Device(Protocol):
    """Where models run. All calls come from the one thread that also runs the models."""

    @property
    def name(self) -> str:
        """Its name for people, such as ``cuda:0``."""

    @property
    def place(self) -> torch.device:
        """Its name for torch."""

    @property
    def unified(self) -> bool:
        """Whether host memory is its memory, so that nothing ever has to be copied."""

    @property
    def limit(self) -> int | None:
        """Bytes that models may take on it; None if only the host's memory limits them."""

    @property
    def out_of_memory(self) -> type[Exception]:
        """What a model raises when this device is full."""

    @property
    def copied_in(self) -> int:
        """Bytes copied from the host so far."""

    @property
    def copied_back(self) -> int:
        """Bytes copied to the host so far."""

    def total(self) -> int:
        """Return the bytes that this process may use, used ones included."""

    def free(self) -> int:
        """Return the bytes that could still be allocated."""

    def allocate(self, size: int) -> torch.Tensor:
        """Return ``size`` bytes, aligned to 512. Raises ``OutOfMemory``."""

    def release(self, memory: torch.Tensor) -> None:
        """Take back what ``allocate`` returned; nothing may point into it any more."""

    def discard(self, memory: torch.Tensor) -> None:
        """Be told that these bytes will be written before they are read again."""

    def copy(self, target: torch.Tensor, source: torch.Tensor, *, stop: Stop = never) -> Wait:
        """Copy bytes into the device, before anything that this thread starts on it afterwards.

        Returns what waits until the source may be written again. Raises ``Stopped`` between two
        chunks, ``RuntimeError`` when the device fails.
        """

    def read(self, file: int, memory: torch.Tensor, offset: int) -> None:
        """Fill host memory from an open file. On any thread. Raises ``OSError``."""

    def synchronize(self) -> None:
        """Wait for everything started on the device."""

    def register(self, memory: torch.Tensor) -> bool:
        """Pin host memory for fast copies. Returns whether it is; if not, copies still work."""

    def unregister(self, memory: torch.Tensor) -> None:
        """Undo a ``register`` that returned true."""

    def empty_cache(self) -> None:
        """Give what the allocator keeps for later back to the device."""

    def current(self) -> AbstractContextManager[object]:
        """Make it the one that code means which names no device."""

    def mark(self) -> None:
        """Begin to watch how many bytes steps take."""

    def taken(self) -> int:
        """Return the most bytes that were in use since ``mark``, beyond those in use then."""


def open_device(name: str = "auto", *, budget: int | float | None = None) -> Device:
    """Return the device called ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    ``budget`` is in bytes, or as a float a share of what the device has. A CPU with a budget
    becomes a pretend device: memory of its own, that much of it. Raises ``MachineError``.
    """
    import torch

    if name == "auto":
        name = "cuda:0" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return CpuDevice(_in_bytes(budget, CpuDevice().total))
    from editbench.engine.cuda import CudaDevice  # it needs this module

    if match := re.fullmatch(r"cuda(?::(\d+))?", name):
        index, count = int(match[1] or 0), torch.cuda.device_count()
        if index >= count:
            raise MachineError(
                f"there is no {name}: torch sees {count} CUDA devices",
                hint="set memory.device to cpu or auto; editbench doctor shows what is there",
            )
        return CudaDevice(index, _in_bytes(budget, CudaDevice(index).total))
    raise MachineError(
        f"cannot run models on {name!r}", hint="set memory.device to auto, cpu or cuda:0"
    )


class CpuDevice:
    """The processor. With a budget, a pretend device whose weights take at most that many bytes."""

    name = "cpu"
    out_of_memory: type[Exception] = MemoryError

    def __init__(self, budget: int | None = None) -> None:
        self.copied_in = 0
        self.copied_back = 0
        self.limit = budget
        self._allocated: dict[int, int] = {}  # bytes by address

    @property
    def place(self) -> torch.device:
        import torch

        return torch.device("cpu")

    @property
    def unified(self) -> bool:
        return self.limit is None

    def total(self) -> int:
        return self.free() + sum(self._allocated.values())

    def free(self) -> int:
        if self.limit is not None:
            return self.limit - sum(self._allocated.values())
        return host_available()

    def allocate(self, size: int) -> torch.Tensor:
        if self.limit is not None and size > self.free():
            raise OutOfMemory(
                f"{self.name} has {format_bytes(self.free())} of its budget of "
                f"{format_bytes(self.limit)} left, not {format_bytes(size)}",
                hint="raise memory.device_budget",
            )
        memory = host_memory(size)
        if size:
            self._allocated[memory.data_ptr()] = size
        return memory

    def release(self, memory: torch.Tensor) -> None:
        self._allocated.pop(memory.data_ptr(), None)

    def discard(self, memory: torch.Tensor) -> None:
        pass

    def copy(self, target: torch.Tensor, source: torch.Tensor, *, stop: Stop = never) -> Wait:
        for start, end in chunks(source):
            if stop():
                raise Stopped("stopped while a model was being moved")
            self._copy_chunk(target[start:end], source[start:end])
        return at_once

    def read(self, file: int, memory: torch.Tensor, offset: int) -> None:
        read_exactly(file, memory, offset)

    def synchronize(self) -> None:
        pass

    def register(self, memory: torch.Tensor) -> bool:
        return True

    def unregister(self, memory: torch.Tensor) -> None:
        pass

    def empty_cache(self) -> None:
        pass

    def current(self) -> AbstractContextManager[object]:
        return nullcontext()

    def mark(self) -> None:
        pass

    def taken(self) -> int:
        return 0  # a pretend device counts weights alone

    def _copy_chunk(self, target: torch.Tensor, source: torch.Tensor) -> None:
        target.copy_(source)
        if self._holds(target):
            self.copied_in += target.numel()
        if self._holds(source):
            self.copied_back += source.numel()

    def _holds(self, memory: torch.Tensor) -> bool:
        at = memory.data_ptr()
        return any(start <= at < start + size for start, size in self._allocated.items())


def _in_bytes(budget: int | float | None, total: Callable[[], int]) -> int | None:
    return int(total() * budget) if isinstance(budget, float) else budget


def chunks(source: torch.Tensor) -> Iterator[tuple[int, int]]:
    """Yield the parts of a source, cut at multiples of CHUNK of the memory that it lies in."""
    base, size = int(source.storage_offset()), source.numel()
    start = 0
    while start < size:
        end = min(size, (base + start) // CHUNK * CHUNK + CHUNK - base)
        yield start, end
        start = end


def read_exactly(file: int, memory: torch.Tensor, offset: int) -> None:
    """Fill host memory from an open file. Raises ``OSError``, also if the file ends before."""
    left = memory.numpy().data
    while left:
        count = os.preadv(file, [left], offset)
        if not count:
            raise OSError(errno.EIO, f"the file ends {len(left)} bytes early")
        left, offset = left[count:], offset + count
