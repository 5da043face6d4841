"""The pictures of a page: each once, small, inside the page or in a folder beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from editbench.report.thumbnails import thumbnail

if TYPE_CHECKING:
    from PIL.Image import Image

Where = Literal["embed", "folder"]
TOTAL = 32 * 10**6  #: bytes of embedded pictures; a third more as text in the page
LARGE = 1280  #: pixels of the longer side, and bytes, of a picture in a folder
LARGE_BYTES = 400_000


class Pictures(Protocol):
    """Where the pictures of a run come from. None and nothing for what is gone."""

    def sources(self, pair: str) -> Sequence[Image]: ...

    def edit(self, item: dict[str, Any]) -> Image | None: ...


class Album:
    """Collects pictures; what stands in the page for each is a line of ``lines``."""

    def __init__(self, where: Where, *, page: Path, expected: int, total: int = TOTAL) -> None:
        """Take ``total`` bytes for about ``expected`` pictures; a folder has no such bound."""
        self.lines: list[str] = []
        self.left_out = 0  #: pictures that found no room
        self._folder = page.with_name(f"{page.stem}_files") if where == "folder" else None
        self._room = total
        self._limit = total // max(1, expected)  #: bytes of one picture
        self._places: dict[bytes, int] = {}
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            for old in self._folder.glob("[0-9]" * 5 + ".webp"):
                old.unlink()

    def add(self, image: Image) -> int | None:
        """Return the place of a picture; None if there is no room for it."""
        if self._folder:
            small = thumbnail(image, limit=LARGE_BYTES, longest=LARGE)
        else:
            small = thumbnail(image, limit=min(self._limit, self._room))
        if small is None:
            self.left_out += 1
            return None
        return self._place(small)

    def _place(self, small: bytes) -> int:
        digest = hashlib.sha256(small).digest()
        place = self._places.setdefault(digest, len(self.lines))
        if place == len(self.lines):
            self.lines.append(self._write(small))
            self._room -= len(small)
        return place

    def _write(self, small: bytes) -> str:
        if not self._folder:
            return base64.b64encode(small).decode("ascii")
        name = f"{len(self.lines):05}.webp"
        (self._folder / name).write_bytes(small)
        return f"{self._folder.name}/{name}"
