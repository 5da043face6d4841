from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from editbench.cli.displays import opened
from editbench.cli.jsonlines import JsonLines
from editbench.cli.modes import Mode
from editbench.cli.terminal import Terminal
from editbench.engine.events import Checking
from tests.cli.builders import a_run, started


def test_the_first_line_starts_and_the_last_one_ends_the_run() -> None:
    lines: list[str] = []
    display = JsonLines(lines.append)
    display(Checking(0, "kris", 1, 2))
    for event in a_run():
        display(event)
    display.close(None)
    values = [json.loads(line) for line in lines]
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)
    assert {value["v"] for value in values} == {1}
    assert values[0]["event"] == "run.start" and values[0]["pid"] == os.getpid()
    assert values[1]["event"] == "check"
    assert values[-1]["event"] == "run.end" and values[-1]["status"] == "ok"


def test_a_run_cut_short_by_an_error_is_ended() -> None:
    lines: list[str] = []
    display = JsonLines(lines.append)
    display(started())
    display.close(OSError("no disk"))
    end = json.loads(lines[-1])
    assert (end["event"], end["status"], end["message"]) == (
        "run.end",
        "failed",
        "OSError: no disk",
    )


def test_an_error_before_the_start_writes_nothing() -> None:
    lines: list[str] = []
    JsonLines(lines.append).close(OSError("no disk"))
    assert lines == []


NOISY = """
import os, sys
from editbench.cli.displays import opened
from editbench.cli.modes import Mode
from editbench.cli.terminal import Terminal
from tests.cli.builders import a_run
with opened(Mode.JSON, Terminal(stderr=True)) as display:
    for event in a_run():
        display(event)
        print("chatter")
        os.write(1, b"louder chatter\\n")
print("after")
"""


def test_a_chatty_library_cannot_break_the_stream() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOISY], capture_output=True, text=True, check=True, timeout=60
    )
    *lines, last = done.stdout.splitlines()
    assert len(lines) == len(list(a_run())) and last == "after"
    assert [json.loads(line)["event"] for line in lines][-1] == "run.end"
    assert done.stderr.count("louder chatter") == len(lines)


def test_the_displays_open_and_close(capsys: pytest.CaptureFixture[str]) -> None:
    for mode in (Mode.DASHBOARD, Mode.PLAIN, Mode.NONE):
        with opened(mode, Terminal(stderr=True)) as display:
            for event in a_run():
                display(event)
            display.tick()
    assert "18/20 scored" in capsys.readouterr().err
