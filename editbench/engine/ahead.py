"""Reads the files of a model before it is loaded, beside other work, into the system's own cache.

A model's first load waits for the disk, and much longer than for the link: the libraries map their
files and touch one page after another. Nothing is kept here, and the system may forget what was
read, so that no budget knows of it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import anyio

_SLOW = 5e8  # bytes a second that a disk reads at least, or reading ahead begins too late
_SPARE = 5.0  # seconds
_PIECE = 8 * 2**20
_POLL = 0.5  # seconds


class ReadAhead:
    """A thread that reads files once, in their order, and ends. What cannot be read is left out."""

    def __init__(self, files: Sequence[Path], *, most: int) -> None:
        """Read ``most`` bytes, since more would push out what was read first."""
        self.read = 0  #: bytes so far
        self._files = files
        self._most = most
        self._stopped = False
        threading.Thread(target=self._work, name="read-ahead", daemon=True).start()

    def stop(self) -> None:
        """Leave the rest unread."""
        self._stopped = True

    def _work(self) -> None:
        buffer = bytearray(_PIECE)
        for path in self._files:
            with suppress(OSError), path.open("rb", buffering=0) as file:
                while self.read < self._most and not self._stopped:
                    if not (size := file.readinto(buffer)):
                        break
                    self.read += size


def seconds_to_read(files: Sequence[Path]) -> float:
    """Return how long before its end work is nearly done, for these files to be read meanwhile."""
    total = 0
    for path in files:
        with suppress(OSError):
            total += os.stat(path).st_size
    return _SPARE + total / _SLOW


async def nearly_done(done: Callable[[], int], total: int, *, seconds: float) -> None:
    """Return once ``seconds`` of work are left at most, at the pace since this was called."""
    start, before = time.monotonic(), done()
    while True:
        if count := done() - before:
            pace = (time.monotonic() - start) / count
            if (total - before - count) * pace <= seconds:
                return
        await anyio.sleep(_POLL)
