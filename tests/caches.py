"""What the system has of a file in memory."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path

import pytest


def is_cached(path: Path) -> bool:
    """Tell whether the whole file is in memory, without reading it."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE) as mapped:
        pages = (ctypes.c_ubyte * -(-len(mapped) // mmap.PAGESIZE))()
        start = ctypes.c_char.from_buffer(mapped)
        failed = ctypes.CDLL(None).mincore(
            ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(len(mapped)), pages
        )
        del start  # or the mapping could not be closed
    assert not failed
    return all(page & 1 for page in pages)


def evict(path: Path) -> None:
    """Have the system forget a file; skip the test where it does not."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)
    if is_cached(path):
        pytest.skip("this file system keeps its files in memory")
