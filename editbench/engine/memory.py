"""Budgets, and the byte-weighted limit that stands before every decode.

Budgets are bytes, never item counts. Host memory is read with the container's limit in mind.
Does not cover the device's memory (see devices) nor the disk's (see store).
"""

from __future__ import annotations

import ctypes
import gc
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import anyio

RESERVE = 2 * 10**9  #: bytes of host memory that are never planned with
SHARE = 0.25  #: of what is free, for decoded images, unless told otherwise
PIXEL = 4  #: bytes of a decoded pixel; Pillow keeps RGB in four
CODING = 16  #: bytes a pixel that an encoder or decoder works with; measured for WebP and JPEG XL
_LARGE = 8 * 2**20  # bytes; mapping a smaller buffer anew each time costs more than keeping it
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # as mallopt calls them


def pixel_bytes(width: int, height: int) -> int:
    """Return the bytes of a decoded image."""
    return width * height * PIXEL


def coding_bytes(width: int, height: int) -> int:
    """Return the bytes that encoding or decoding an image takes beside the image."""
    return width * height * CODING


def return_freed_memory() -> None:
    """Have large buffers go back to the system when they are freed, where the C library can.

    By default glibc keeps freed buffers of up to 32 MB for later, and in each thread's arena apart,
    which for images of that size adds up to several times of what is in use.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_TRIM_THRESHOLD, 4 * _LARGE)
        library.mallopt(_ARENA_MAX, 1)


@contextmanager
def collecting_only_new() -> Iterator[None]:
    """Keep the garbage collector off what is there already: whole libraries, which are no garbage.

    It would look at all of their objects now and then, and hold up every thread meanwhile. Does
    nothing where that was done already.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.collect()  # or what is garbage already would stay, with the memory that it holds
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def host_available(root: Path = Path("/")) -> int:
    """Return the bytes this process may still take: the least of MemAvailable and the cgroup's.

    Reads cgroup v2 and v1 below ``root``; a file that is absent limits nothing.
    """
    limits = [_meminfo(root)]
    for folder, limit, usage, prefix in (
        ("sys/fs/cgroup", "memory.max", "memory.current", ""),
        ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    ):
        allowed, used = _number(root / folder / limit), _number(root / folder / usage)
        if allowed is not None:
            # Cached files count as used there, and go as soon as anything else wants the room.
            fields = _fields(root / folder / "memory.stat")
            cached = sum(fields.get(f"{prefix}{kind}_file", 0) for kind in ("active", "inactive"))
            limits.append(allowed - max(0, (used or 0) - cached))
    known = [limit for limit in limits if limit is not None]
    return max(0, min(known)) if known else RESERVE


def host_budget(asked: int | float | None, *, available: int, weights: int = 0) -> int:
    """Return the bytes for decoded images: as asked, or a share of what is available.

    Unasked, they leave room for ``weights`` as far as they can: an image is read again sooner.
    """
    if isinstance(asked, int):
        return asked
    if asked is not None:
        return int(available * asked)
    share = int((available - RESERVE) * SHARE)
    return max(256 * 10**6, min(share, max(share // 4, available - RESERVE - weights)))


def weights_budget(asked: int | float | None, *, available: int, images: int) -> int:
    """Return the bytes of host memory for weights: as asked, or what images and others leave."""
    if isinstance(asked, int):
        return asked
    if asked is not None:
        return int(available * asked)
    return max(0, available - images - max(RESERVE, available // 20))


def _meminfo(root: Path) -> int | None:
    found = _fields(root / "proc/meminfo").get("MemAvailable:")
    return None if found is None else found * 1024


def _fields(path: Path) -> dict[str, int]:
    """Return the first number of each line, by the word before it."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    words = (line.split() for line in lines)
    return {line[0]: int(line[1]) for line in words if len(line) > 1 and line[1].isdigit()}


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None  # "max" limits nothing


class ByteLimit:
    """Admits work by its bytes, first come first served. Used from one event loop only.

    Work larger than the whole limit is admitted alone, so that no item can block a run for ever.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.peak = 0
        self._waiting: deque[tuple[int, anyio.Event]] = deque()

    def _fits(self, size: int) -> bool:
        return self.used == 0 or self.used + size <= self.limit

    def _take(self, size: int) -> None:
        self.used += size
        self.peak = max(self.peak, self.used)

    async def acquire(self, size: int) -> None:
        """Wait until ``size`` bytes may be used, and take them."""
        if not self._waiting and self._fits(size):
            self._take(size)
            return
        turn = anyio.Event()
        entry = (size, turn)
        self._waiting.append(entry)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():  # admitted and cancelled at the same time
                self.release(size)
            else:
                self._waiting.remove(entry)
                self._admit()
            raise

    def release(self, size: int) -> None:
        """Give ``size`` bytes back and admit whoever fits now."""
        self.used -= size
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, turn = self._waiting.popleft()
            self._take(size)
            turn.set()

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Take ``size`` bytes for the length of a block."""
        await self.acquire(size)
        try:
            yield
        finally:
            self.release(size)
