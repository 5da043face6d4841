"""What the dashboard is drawn with: bars, sparklines, columns. In ASCII where the terminal asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

LEVELS, ASCII_LEVELS = "▁▂▃▄▅▆▇█", "_.,-=+*#"


class Sparkline(NamedTuple):
    """One character a value, as high as the value is beside the largest."""

    values: Sequence[int]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        levels = ASCII_LEVELS if options.ascii_only else LEVELS
        top = max(self.values, default=0) or 1
        text = "".join(levels[round(value / top * (len(levels) - 1))] for value in self.values)
        yield Segment(text[-options.max_width :])


class Bar(NamedTuple):
    """A bar that is full at ``total``; what is missing is told by its shape, not by color alone."""

    done: float
    total: float
    width: int
    style: str = "cyan"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        total = max(1, self.total)
        done = min(self.done, self.total)
        finished = "green" if self.style == "cyan" else self.style
        if options.ascii_only:
            filled = int(self.width * done / total)
            style = console.get_style(finished if done >= total else self.style)
            yield Segment("#" * filled, style)
            yield Segment("." * (self.width - filled))
        else:
            yield ProgressBar(
                total=total,
                completed=done,
                width=self.width,
                complete_style=self.style,
                finished_style=finished,
            )

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(self.width, self.width)


def grid(width: int) -> Table:
    """Return columns without a frame, two spaces apart."""
    made = Table.grid(padding=(0, 2, 0, 0), expand=True)
    made.width = width
    return made


def table(width: int) -> Table:
    """Return columns under their names and a rule."""
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        expand=True,
        width=width,
    )


def two_sides(left: Text, right: Text, width: int) -> RenderableType:
    """Return a line with text at both ends; the left one is cut first."""
    line = grid(width)
    line.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    line.add_column(justify="right", no_wrap=True, overflow="ellipsis", max_width=width // 2)
    line.add_row(left, right)
    return line
