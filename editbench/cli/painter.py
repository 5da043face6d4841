"""Draws frames over one another on a terminal, below whatever is printed meanwhile.

Nothing that it does outlives a frame: the cursor stays visible, there is no alternate screen, and
the terminal's modes are its own. A killed process leaves its last frame and a sane terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import (
    COLOR_SYSTEMS,
    Console,
    ConsoleOptions,
    ConsoleRenderable,
    RenderableType,
    RenderHook,
    RenderResult,
)
from rich.segment import ControlType, Segment

from editbench.cli.terminal import Terminal

# A character that the terminal takes for wider than we do must not break the frame.
CUT, WRAP = "\x1b[?7l", "\x1b[?7h"
ERASE, DOWN, SAVE, RESTORE = "\x1b[2K", "\x1b[B", "\x1b7", "\x1b8"


class Line(NamedTuple):
    """A line of a frame, as it is written."""

    text: str
    cells: int


REST = Line("", 0)  #: the last line, where echoed keys and a shell's next words do no harm


class Painter(RenderHook):
    """Keeps one frame at the bottom of what a terminal shows, the cursor on the row below it."""

    def __init__(self, console: Terminal) -> None:
        self._console = console
        self._frame: Sequence[Line] = ()
        self._window = console.window()
        self._lost = 0  # rows of old frames that scrolled out of a window that became smaller

    def draw(self, picture: RenderableType, window: tuple[int, int]) -> None:
        """Show a picture, made for a window of this size, in place of the last one.

        Only lines that differ are written.
        """
        lines = [*_lines(self._console, picture, window[0]), REST]
        with self._console.lock:
            self.write(self._to_top(window) + self._replace(lines))

    def clear(self) -> None:
        """Take the frame away."""
        with self._console.lock:
            self.write(self._to_top(self._console.window()) + self._replace([]))

    def forget(self) -> None:
        """Leave the frame where it is; the next one is drawn below the cursor."""
        self._frame = ()

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Have what is printed stand above the frame. Called by the console, its lock held."""
        away = self._to_top(self._console.window())
        frame, self._lost = self._frame, 0
        away += self._replace([])
        return [_Codes(away), *renderables, _Codes(self._replace(frame))]

    def write(self, codes: str) -> None:
        """Write codes that leave the cursor where it is."""
        with self._console.lock:
            self._console.file.write(codes)
            self._console.file.flush()

    def _to_top(self, window: tuple[int, int]) -> str:
        """Return codes that move to the frame's first line.

        If the window's size changed, the terminal may have folded the frame, cut rows off its top,
        or brought such rows back: all of it is erased and forgotten. Where a terminal does none of
        this, moving up ends at the window's top.
        """
        before, self._window = self._window, window
        if window == before:
            return "\r" + _up(len(self._frame) - 1)
        width, height = window
        rows = [max(1, -(-line.cells // width)) for line in self._frame] or [1]
        back = min(self._lost, max(0, height - before[1]))
        above = min(sum(rows[:-1]) + back, height - 1)
        self._lost += sum(rows[:-1]) - above
        self._frame = ()
        # Line by line: tmux would put a screen that is cleared at once into its history.
        erased = DOWN.join([ERASE] * (above + rows[-1]))
        return "\r" + _up(above) + SAVE + erased + RESTORE

    def _replace(self, lines: Sequence[Line]) -> str:
        """Return codes that write these lines over the frame, from its first line on."""
        old, self._frame = self._frame, lines
        codes = [CUT]
        for number in range(max(len(old), len(lines))):
            if number:
                # A new row may have to scroll the screen; one that is there must not.
                codes.append("\r" + (DOWN if number < len(old) else "\n"))
            line = lines[number] if number < len(lines) else None
            # The last line may hold echoed keys, so it is always written.
            same = number < min(len(old), len(lines) - 1) and old[number] == line
            if not same:
                codes.append(ERASE + (line.text if line else ""))
        return "".join(codes) + "\r" + _up(len(old) - max(1, len(lines))) + WRAP


class _Codes(NamedTuple):
    codes: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(self.codes, None, [(ControlType.CARRIAGE_RETURN,)])


def _lines(console: Terminal, picture: RenderableType, width: int) -> Iterator[Line]:
    colors = COLOR_SYSTEMS.get(console.color_system or "")
    for line in console.render_lines(picture, console.options.update(width=width), pad=False):
        segments = Segment.remove_color(line) if console.no_color else line
        text = "".join(
            style.render(text, color_system=colors) if style and not control else text
            for text, style, control in segments
        )
        yield Line(text, Segment.get_line_length(line))


def _up(rows: int) -> str:
    return f"\x1b[{rows}A" if rows > 0 else ""
