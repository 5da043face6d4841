"""Host memory as the kernel sees it: pages of files that were copied, heap that can shrink.

Weights are read through files mapped into memory. Their pages count as used, by the process and by
its container, long after the last look at them; the peak would be twice the model.
"""

from __future__ import annotations

import ctypes
import mmap
from bisect import bisect_right
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

_PAGE_OUT = 21  # MADV_PAGEOUT, which Python's mmap does not name: it loses nothing, unlike DONTNEED


class MappedFiles:
    """The address ranges that are files, at the time it is made. None where /proc is missing."""

    def __init__(self) -> None:
        self._ends: list[int] = []
        self._starts: list[int] = []
        with suppress(OSError):
            for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
                span, _, _, _, inode, *_ = line.split(maxsplit=5)
                if inode != "0":
                    start, end = span.split("-")
                    self._starts.append(int(start, 16))
                    self._ends.append(int(end, 16))

    def let_go(self, address: int, size: int) -> None:
        """Tell the kernel that these bytes were the last to be read from their file for now."""
        at = bisect_right(self._starts, address) - 1
        if at < 0 or address + size > self._ends[at]:
            return  # heap: it is freed, and must not go to swap before
        first = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
        length = (address + size) // mmap.PAGESIZE * mmap.PAGESIZE - first
        if length > 0 and (library := _library()) is not None:
            library.madvise(ctypes.c_void_p(first), ctypes.c_size_t(length), _PAGE_OUT)


def trim_heap() -> None:
    """Have the C library give back what was freed; without it glibc keeps it for later."""
    if (library := _library()) is not None:
        with suppress(AttributeError):
            library.malloc_trim(0)


@cache
def _library() -> Any:
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):
        return None
