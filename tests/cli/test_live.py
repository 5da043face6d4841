from __future__ import annotations

import io

import pyte
import pytest
from rich.console import Console

from editbench.cli.displays import choose
from editbench.cli.live import LiveDashboard
from editbench.cli.modes import Mode
from editbench.engine.events import Checking, Notice
from tests.cli.builders import a_run, started

WIDTH, HEIGHT = 80, 24


class Terminal:
    """A real terminal's behaviour: what is written to it, and what is then on its screen."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stream = io.StringIO()
        self._screen = pyte.HistoryScreen(WIDTH, HEIGHT)
        self._parser = pyte.Stream(self._screen)
        self._read = 0
        console = Console(
            file=self.stream, force_terminal=True, width=WIDTH, height=HEIGHT, legacy_windows=False
        )
        self.dashboard = LiveDashboard(console, clock=lambda: self.now)

    def show(self) -> list[str]:
        text = self.stream.getvalue()[self._read :].replace("\n", "\r\n")
        self._read += len(text) - text.count("\r\n")
        self._parser.feed(text)
        return [line.rstrip() for line in self._screen.display]

    @property
    def scrolled(self) -> int:
        return len(self._screen.history.top)


def test_frames_replace_each_other_and_leave_nothing_behind() -> None:
    terminal = Terminal()
    with terminal.dashboard as dashboard:
        for event in a_run():
            terminal.now = event.time
            dashboard(event)
            dashboard.tick()
            screen = terminal.show()
            assert sum(line.startswith("editbench · kris") for line in screen) <= 1
        assert any(line.startswith("social") for line in screen)
    assert not any(terminal.show())
    assert terminal.scrolled == 0


def test_nothing_is_drawn_while_nothing_happens_but_once_a_second() -> None:
    terminal = Terminal()
    with terminal.dashboard as dashboard:
        dashboard(started())
        dashboard.tick()
        drawn = len(terminal.stream.getvalue())
        terminal.now += 0.5
        dashboard.tick()
        assert len(terminal.stream.getvalue()) == drawn
        terminal.now += 0.6
        dashboard.tick()
        assert len(terminal.stream.getvalue()) > drawn


def test_what_precedes_the_run_is_shown() -> None:
    terminal = Terminal()
    with terminal.dashboard as dashboard:
        dashboard(Checking(0, "kris", 3, 9))
        dashboard.tick()
        assert "kris: 3 of 9 pairs checking" in terminal.show()


def test_a_warning_stays_above_the_dashboard_and_after_it() -> None:
    terminal = Terminal()
    with terminal.dashboard as dashboard:
        dashboard(started())
        dashboard.tick()
        dashboard(Notice(1, "warning", "the disk fills"))
        dashboard.tick()
        assert terminal.show()[0] == "warning: the disk fills"
    assert terminal.show()[0] == "warning: the disk fills"


def test_the_title_tells_the_share_and_is_cleared() -> None:
    terminal = Terminal()
    with terminal.dashboard as dashboard:
        dashboard(started())
        dashboard.tick()
        assert "\x1b]0;editbench 0% kaze\x07" in terminal.stream.getvalue()
    assert terminal.stream.getvalue().endswith("\x1b]0;\x07")


@pytest.mark.parametrize(
    ("environ", "quiet", "verbose", "expected"),
    [
        ({}, False, False, Mode.DASHBOARD),
        ({"CI": "true"}, False, False, Mode.PLAIN),
        ({}, False, True, Mode.PLAIN),
        ({}, True, False, Mode.NONE),
    ],
)
def test_the_dashboard_is_for_a_terminal_that_someone_watches(
    environ: dict[str, str], quiet: bool, verbose: bool, expected: Mode
) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, force_interactive=True)
    assert choose(Mode.AUTO, console, environ, quiet=quiet, verbose=verbose) is expected


def test_a_pipe_gets_plain_lines_unless_asked_otherwise() -> None:
    pipe = Console(file=io.StringIO())
    assert choose(Mode.AUTO, pipe, {}, quiet=False, verbose=False) is Mode.PLAIN
    assert choose(Mode.JSON, pipe, {}, quiet=False, verbose=True) is Mode.JSON


def test_a_dumb_terminal_gets_plain_lines() -> None:
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert choose(Mode.AUTO, dumb, {}, quiet=False, verbose=False) is Mode.PLAIN
