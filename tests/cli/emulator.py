"""A terminal emulator to look at what the displays write."""

from __future__ import annotations

import pyte
from rich.console import RenderableType

from editbench.cli.terminal import Terminal


class Emulator:
    """A window of a terminal, the console that writes to it, and what is then on its screen."""

    encoding = "utf-8"

    def __init__(self, width: int = 80, height: int = 24) -> None:
        self.screen = pyte.HistoryScreen(width, height, history=10_000)
        self.written: list[str] = []
        self._parser = pyte.Stream(self.screen)
        self.console = Terminal(
            file=self,
            force_terminal=True,
            color_system="standard",
            width=width,
            height=height,
            legacy_windows=False,
        )

    def write(self, text: str) -> None:
        """Take what a program writes; as a terminal's driver does, with returns at line ends."""
        self.feed(text.replace("\n", "\r\n"))

    def feed(self, text: str) -> None:
        """Take what has come through a terminal's driver."""
        self.written.append(text)
        self._parser.feed(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError("an emulator has no descriptor")

    def resize(self, width: int, height: int) -> None:
        # A terminal keeps the cursor's row and what is above it; pyte would cut from the top.
        screen, row = self.screen, self.screen.cursor.y
        lost = max(0, row + 1 - height)
        screen.cursor_position(1, 1)
        if (below := screen.lines - height - lost) > 0:
            screen.insert_lines(below)
        screen.resize(height, width)
        screen.cursor_position(row + 1 - lost, 1)
        self.console.size = (width, height)

    def rows(self) -> list[str]:
        """The screen, without the blanks at the ends of its rows and below them."""
        rows = [row.rstrip() for row in self.screen.display]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def expected(self, picture: RenderableType, width: int) -> list[str]:
        """The rows that a picture is, as ``rows`` returns them."""
        lines = self.console.render_lines(picture, self.console.options.update(width=width))
        rows = ["".join(segment.text for segment in line).rstrip() for line in lines]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    @property
    def scrolled(self) -> int:
        return len(self.screen.history.top)

    @property
    def text(self) -> str:
        return "".join(self.written)
