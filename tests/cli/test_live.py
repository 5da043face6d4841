from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from threading import Event as Flag

import pytest

from editbench.cli.displays import choose
from editbench.cli.live import LiveDashboard
from editbench.cli.modes import Mode
from editbench.cli.terminal import Terminal
from editbench.engine.events import Checking, Notice, Reading
from tests.cli.builders import a_run, started
from tests.cli.emulator import Emulator


class Watched(Emulator):
    """An emulator with a dashboard on it, and a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.dashboard = LiveDashboard(self.console, clock=lambda: self.now, environ={})


def test_frames_replace_each_other_and_leave_nothing_behind() -> None:
    terminal = Watched()
    with terminal.dashboard as dashboard:
        for event in a_run():
            terminal.now = event.time
            dashboard(event)
            dashboard.draw()
            assert sum(row.startswith("editbench · kris") for row in terminal.rows()) <= 1
        assert any(row.startswith("social") for row in terminal.rows())
    assert terminal.rows() == [] and terminal.scrolled == 0


def test_nothing_is_drawn_while_nothing_happens_but_once_a_second() -> None:
    terminal = Watched()
    with terminal.dashboard as dashboard:
        dashboard(started())
        dashboard.draw()
        drawn = len(terminal.text)
        terminal.now += 0.5
        dashboard.draw()
        assert len(terminal.text) == drawn
        terminal.now += 0.6
        dashboard.draw()
        assert len(terminal.text) > drawn


def test_only_lines_that_changed_are_written_again() -> None:
    terminal = Watched()
    with terminal.dashboard as dashboard:
        dashboard(started())
        dashboard.draw()
        terminal.written.clear()
        terminal.now += 1
        dashboard.draw()
        assert "1.0s elapsed" in terminal.text
        assert "physical" not in terminal.text


def test_what_precedes_the_run_is_shown() -> None:
    terminal = Watched()
    with terminal.dashboard as dashboard:
        dashboard(Checking(0, "kris", 3, 9))
        dashboard.draw()
        assert "kris: 3 of 9 pairs checking" in terminal.rows()
        dashboard(Reading(0, "judge", 3 * 10**9, 57 * 10**9))
        dashboard.draw()
        assert "judge: 3.00 of 57.0 GB read, once, to know it again" in terminal.rows()


def test_a_warning_stays_above_the_dashboard_and_after_it() -> None:
    terminal = Watched()
    with terminal.dashboard as dashboard:
        dashboard(started())
        dashboard.draw()
        dashboard(Notice(1, "warning", "the disk fills"))
        dashboard.draw()
    assert terminal.rows() == ["warning: the disk fills"]


def test_a_terminal_that_takes_nothing_holds_nobody_up() -> None:
    terminal, stuck = Watched(), Flag()
    terminal.flush = lambda: stuck.wait(30)  # type: ignore[assignment,return-value]
    with terminal.dashboard as dashboard:
        for event in a_run():
            dashboard(event)
            dashboard.tick()
        stuck.set()
    assert len(terminal.text) < 10_000  # frames that nobody could see were not kept


def test_a_terminal_that_is_gone_ends_the_display_and_not_the_run() -> None:
    terminal = Watched()

    def flush() -> None:
        raise OSError("the connection is gone")

    terminal.flush = flush  # type: ignore[method-assign]
    with terminal.dashboard as dashboard:
        for event in a_run():
            dashboard(event)
            dashboard.tick()


PRINTING = """
import os, subprocess, sys
from pathlib import Path
from editbench.cli.displays import opened
from editbench.cli.modes import Mode
from editbench.cli.terminal import Terminal
with opened(Mode.DASHBOARD, Terminal(stderr=True, force_terminal=True)) as dashboard:
    print("before the folder is known")
    dashboard.keep_output(Path(sys.argv[1]))
    print("by print")
    os.write(1, b"to 1\\n")
    os.write(2, b"to 2\\n")
    subprocess.run(["echo", "by a child"])
    sys.stdout.flush()
    os.abort() if sys.argv[2:] else None
print("after")
"""


@pytest.mark.parametrize("crash", [(), ("crash",)])
def test_what_others_print_is_kept_in_the_runs_folder(
    crash: tuple[str, ...], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", PRINTING, str(tmp_path), *crash]
    done = subprocess.run(command, capture_output=True, text=True)
    assert bool(done.returncode) is bool(crash)
    assert done.stdout == ("" if crash else "after\n")
    assert "by print" not in done.stderr
    lines = (tmp_path / "output.log").read_text().splitlines()
    assert lines[0] == "before the folder is known"
    assert set(lines[1:]) == {"by print", "to 1", "to 2", "by a child"}


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
    console = Emulator().console
    assert choose(Mode.AUTO, console, environ, quiet=quiet, verbose=verbose) is expected


def test_a_pipe_gets_plain_lines_unless_asked_otherwise() -> None:
    pipe = Terminal(file=io.StringIO())
    assert choose(Mode.AUTO, pipe, {}, quiet=False, verbose=False) is Mode.PLAIN
    assert choose(Mode.JSON, pipe, {}, quiet=False, verbose=True) is Mode.JSON


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"FORCE_COLOR": "1"}])
def test_where_no_frame_can_be_drawn_there_is_no_dashboard(environ: dict[str, str]) -> None:
    with open(os.devnull, "w") as file:
        console = Terminal(file=file, force_interactive=True, _environ=environ)
        for mode in (Mode.AUTO, Mode.DASHBOARD):
            assert choose(mode, console, {}, quiet=False, verbose=False) is Mode.PLAIN


def test_a_dumb_terminal_gets_plain_lines() -> None:
    master, slave = pty.openpty()
    with open(slave, "w") as file:
        dumb, real = (Terminal(file=file, _environ={"TERM": term}) for term in ("dumb", "xterm"))
        assert choose(Mode.AUTO, dumb, {}, quiet=False, verbose=False) is Mode.PLAIN
        assert choose(Mode.AUTO, real, {}, quiet=False, verbose=False) is Mode.DASHBOARD
    os.close(master)
