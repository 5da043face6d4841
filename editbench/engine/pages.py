"""Host memory as the kernel sees it: pages of files that were copied, heap that can shrink.

Weights are read through files mapped into memory. Their pages count as used by the process long
after the last look at them; the peak would be twice the model.
"""

from __future__ import annotations

import ctypes
import mmap
from bisect import bisect_right
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

_PAGE_OUT = 21  # MADV_PAGEOUT, which Python's mmap does not name


class MappedFiles:
    """The address ranges that are files, at the time it is made. None where /proc is missing."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._changed: list[bool] = []  # whether pages differ from the file
        with suppress(OSError):
            for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
                word, *rest = line.split(maxsplit=5)
                if word == "Anonymous:":
                    self._changed[-1] = rest[0] != "0"
                elif not word.endswith(":"):
                    start, end = (int(number, 16) for number in word.split("-"))
                    self._starts.append(start)
                    # An inode of 0 is no file: heap, which is freed, and must not go to swap.
                    self._ends.append(end if rest[3] != "0" else start)
                    self._changed.append(False)

    def let_go(self, address: int, size: int) -> None:
        """Drop whole pages among these bytes, if they are a file's. Reading finds them again."""
        at = bisect_right(self._starts, address) - 1
        if at < 0 or address + size > self._ends[at]:
            return
        first = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
        length = (address + size) // mmap.PAGESIZE * mmap.PAGESIZE - first
        # The file's cache is left for the next run, unless pages were changed and would be lost.
        advice = _PAGE_OUT if self._changed[at] else mmap.MADV_DONTNEED
        if length > 0 and (library := _library()) is not None:
            library.madvise(ctypes.c_void_p(first), ctypes.c_size_t(length), advice)


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
