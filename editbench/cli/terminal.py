"""The console that everything is printed on: safe for threads, in ASCII where asked or needed."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

SHAPES = (("…", "."), ("·", "-"), (" ± ", " +-"), ("±", "~"))  #: that keep their width


class Terminal(Console):
    """A rich console whose prints do not mix with what else holds its ``lock`` and writes there.

    With ``ascii``, or on a stream that is not UTF-8, what editbench draws is ASCII. Names and
    replies stay as they are as far as the stream can encode them.
    """

    def __init__(self, *, ascii: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.lock = threading.RLock()
        self._ascii = ascii

    @property
    def encoding(self) -> str:
        return "ascii" if self._ascii else super().encoding

    @property
    def can_draw(self) -> bool:
        """Whether the stream is a real terminal, whatever FORCE_COLOR says, and no dumb one."""
        return self.file.isatty() and not self.is_dumb_terminal

    @property
    def is_ascii(self) -> bool:
        """Whether only ASCII is drawn."""
        return self.options.ascii_only

    def cell(self) -> tuple[int, int] | None:
        """Return the pixels of one character, if the terminal tells."""
        try:
            raw = fcntl.ioctl(self.file.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
        except OSError:
            return None
        rows, columns, width, height = struct.unpack("HHHH", raw)
        return (width // columns, height // rows) if width and height else None

    def window(self) -> tuple[int, int]:
        """Return columns and rows of the terminal that the stream is, now."""
        try:
            return os.get_terminal_size(self.file.fileno())
        except OSError:
            return self.size

    @contextmanager
    def writing_to(self, stream: IO[str]) -> Iterator[None]:
        """Write to another stream for a while."""
        before, self._file = self._file, stream
        try:
            yield
        finally:
            self._file = before

    def print(self, *objects: Any, **how: Any) -> None:
        with self.lock:
            super().print(*objects, **how)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        segments = super().render(renderable, options)
        if not (options or self.options).ascii_only:
            return segments
        return _in_ascii(segments, super().encoding)


def _in_ascii(segments: Iterable[Segment], encoding: str) -> Iterator[Segment]:
    for text, style, control in segments:
        if not control:
            for shape, plain in SHAPES:
                text = text.replace(shape, plain)
            text = "".join(c if _fits(c, encoding) else "?" * cell_len(c) for c in text)
        yield Segment(text, style, control)


def _fits(character: str, encoding: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
