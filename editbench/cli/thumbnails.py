"""The latest source and its edit, side by side, as a part of the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import ControlType, Segment

from editbench.cli import graphics
from editbench.cli.modes import Thumbnails
from editbench.cli.terminal import Terminal

if TYPE_CHECKING:
    from PIL.Image import Image

GAP = 2  #: columns between source and edit
LONGEST = 512  #: pixels of a side that are asked of the run
EVERY = 2.0  #: seconds between two looks for a new pair
SAVE, RESTORE = "\x1b7", "\x1b8"


class Cell(NamedTuple):
    """The pixels of one character."""

    width: int = 10
    height: int = 20


class Pair(NamedTuple):
    """Two pictures, and how the terminal takes them."""

    name: str
    source: Image
    edit: Image
    method: Thumbnails
    cell: Cell = Cell()

    def fitted(self, columns: int, rows: int) -> Fitted | None:
        """Return the two at one height, as large as so many cells allow; None if that is none."""
        for height in range(rows, 0, -1):
            widths = [self._columns(image, height) for image in (self.source, self.edit)]
            if sum(widths) + GAP <= columns:
                return Fitted(self, height, *widths)
        return None

    def _columns(self, image: Image, rows: int) -> int:
        return max(1, round(rows * self.cell.height * image.width / image.height / self.cell.width))


class Fitted(NamedTuple):
    """A pair at a size. Its graphics are written with its last line, once all cells are blank."""

    pair: Pair
    rows: int
    left: int  #: columns of the source
    right: int  #: columns of the edit

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.pair.method is Thumbnails.BLOCKS:
            gap = Segment(" " * GAP)
            source = graphics.blocks(self.pair.source, self.left, self.rows)
            edit = graphics.blocks(self.pair.edit, self.right, self.rows)
            for before, after in zip(source, edit, strict=True):
                yield from (*before, gap, *after, Segment.line())
            return
        columns = self.left + GAP + self.right
        for row in range(self.rows):
            yield Segment(" " * columns)
            if row == self.rows - 1:
                codes = self._image(self.pair.source, self.left, columns, 0)
                codes += self._image(self.pair.edit, self.right, self.right, 1)
                yield Segment(codes, None, [(ControlType.CARRIAGE_RETURN,)])
            yield Segment.line()

    def _image(self, image: Image, columns: int, back: int, number: int) -> str:
        """Return codes that draw an image from its top row on, ``back`` columns to the left."""
        up = f"\x1b[{self.rows - 1}A" if self.rows > 1 else ""
        match self.pair.method:
            case Thumbnails.KITTY:
                codes = graphics.kitty(image, columns, self.rows, number=number)
            case Thumbnails.ITERM2:
                codes = graphics.iterm2(image, columns, self.rows)
            case _:
                cell = self.pair.cell
                size = (columns * cell.width, self.rows * cell.height)
                codes = graphics.sixel(image.resize(size))
        return f"{SAVE}{up}\x1b[{back}D{codes}{RESTORE}"


def method(asked: Thumbnails, console: Terminal, environ: Mapping[str, str]) -> Thumbnails:
    """Return how pictures are shown on a terminal; OFF where they cannot be."""
    if asked is Thumbnails.AUTO:
        asked = graphics.best(environ)
    if asked is Thumbnails.SIXEL and console.cell() is None:
        asked = Thumbnails.BLOCKS  # a sixel picture has as many pixels as the cells it covers
    needs_color = asked is Thumbnails.BLOCKS
    if needs_color and (console.no_color or not console.color_system or console.is_ascii):
        return Thumbnails.OFF
    return asked
