"""Settles on a codec for a run's edits, once it is known how fast they come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from editbench.engine.codec import Codec, available, choose, measure

if TYPE_CHECKING:
    from PIL.Image import Image

FIRST: Codec = "webp"  #: until there is something to go by
SEEN = 3  #: edits to go by; the first ones may be slow
_CANDIDATES: tuple[Codec, ...] = ("webp", "jxl", "raw")


class CodecChoice:
    """The codec of each edit: always the same, or the one that suits the first few. Any thread."""

    def __init__(self, codec: Codec | None, *, room: Callable[[], int]) -> None:
        """``room`` says how many bytes an edit may take; it is asked only to choose."""
        self._codec = codec
        self._room = room
        self._lock = threading.Lock()
        self._seconds: list[float] = []

    def codec(self, image: Image, *, seconds: float) -> Codec:
        """Return the codec for an edit that took so many seconds on the device."""
        if self._codec:
            return self._codec
        with self._lock:
            self._seconds.append(seconds)
            if len(self._seconds) != SEEN:
                return self._codec or FIRST
        # Outside the lock, so that other threads go on; they use the first codec meanwhile.
        candidates = [codec for codec in _CANDIDATES if codec in available()]
        trials = measure(image, candidates)
        self._codec = choose(trials, step_seconds=min(self._seconds), room=self._room())
        return self._codec
