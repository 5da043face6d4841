"""``editbench run`` on a real pseudo-terminal, in a pipe, and with models that talk."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.cli.session import Session
from tests.cli.slow_models import CHATTER, SECONDS

ROOT = Path(__file__).parents[2]
PAIRS = 10


def command(place: Path, *more: str) -> list[str]:
    models = [f"tests.cli.slow_models:{kind}" for kind in ("Editor", "Judge")]
    return [
        *(sys.executable, "-m", "editbench", "run", "-n", str(PAIRS // 5), "--name", "slow"),
        *("-e", models[0], "-j", models[1], "--out", str(place / "runs")),
        *("--spill-dir", str(place / "store"), *more),
    ]


def environ(seconds: float) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR")}
    return kept | {"PYTHONPATH": str(ROOT), SECONDS: str(seconds)}


def edits(rows: list[str]) -> int:
    """How many edits the screen says are done."""
    found = re.search(r"edit +(\d+)/", "\n".join(rows))
    return int(found[1]) if found else 0


def test_ctrl_c_finishes_what_is_begun_and_the_printed_command_goes_on(tmp_path: Path) -> None:
    with Session(command(tmp_path), environ(1)) as session:
        session.wait_for(lambda rows: edits(rows) >= 1)
        session.type("\x03")
        session.wait_for(lambda rows: any("finishing what is on the device" in row for row in rows))
        assert session.wait() == 130
        rows = session.emulator.rows()
        assert session.modes_now() == session.modes
    text = "".join(rows)
    stored = re.search(r"stopped: (\d+) of 10 edits and 0 of 10 scores are stored", text)
    assert stored and 1 <= int(stored[1]) < PAIRS
    assert CHATTER not in text and "editbench ·" not in text
    assert (tmp_path / "runs/slow/output.log").read_text().count(CHATTER) >= 4
    again = text.partition("to continue: ")[2]
    done = subprocess.run(
        ["sh", "-c", again], env=environ(0), cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert f"reusing {stored[1]} edit" in done.stderr
    assert done.stdout.splitlines()[-1].split()[:2] == ["overall", "10"]


def test_ctrl_c_twice_stops_at_the_next_step(tmp_path: Path) -> None:
    with Session(command(tmp_path), environ(600)) as session:
        session.wait_for(lambda rows: any(row.startswith("> edit") for row in rows))
        session.type("\x03")
        session.wait_for(lambda rows: any("ctrl-c again to stop now" in row for row in rows))
        session.type("\x03")
        assert session.wait() == 130
        assert "stopped: 0 of 10 edits" in "".join(session.emulator.rows())


def test_another_size_and_kill_9_leave_the_last_frame_once_and_a_sane_terminal(
    tmp_path: Path,
) -> None:
    with Session(command(tmp_path), environ(0.3), width=100, height=30) as session:
        session.wait_for(lambda rows: edits(rows) >= 1)
        for width, height in ((60, 12), (120, 40), (80, 24)):
            session.resize(width, height)
            session.emulator.written.clear()
            session.wait_for(lambda rows: len(session.emulator.written) > 2)
            rows = session.wait_for(
                lambda rows: bool(rows) and rows[-1].startswith(("ctrl-c", "╰"))
            )
            text = "\n".join(rows)
            assert len(re.findall(r"^(?:│ )?all ", text, re.M)) == 1
            assert text.count("ctrl-c: finish these") == 1
            assert len(re.findall(r"edit +\d+/10", text)) == 1
        session.kill()
        screen = session.emulator.screen
        assert not screen.cursor.hidden
        assert session.modes_now() == session.modes
        assert not re.search(
            "\x1b\\[\\?(1049|47|1047|25|1000|1002|1003|2004)", session.emulator.text
        )
        assert session.emulator.text.rfind("\x1b[?7h") > session.emulator.text.rfind("\x1b[?7l")


def test_no_line_of_json_is_broken_by_what_models_print(tmp_path: Path) -> None:
    run = subprocess.run(
        command(tmp_path, "--display", "json"), env=environ(0), capture_output=True, check=True
    )
    assert run.stderr.count(CHATTER.encode()) > 2 * PAIRS
    tool = [sys.executable, "-m", "json.tool", "--json-lines", "--compact"]
    parsed = subprocess.run(tool, input=run.stdout, capture_output=True, check=True)
    lines = parsed.stdout.splitlines()
    assert len(lines) == len(run.stdout.splitlines()) > 3 * PAIRS
    assert b'"event":"run.start"' in lines[0] and b'"event":"run.end"' in lines[-1]


def test_a_pipe_gets_no_escape_and_no_carriage_return_even_if_a_dashboard_is_asked_for(
    tmp_path: Path,
) -> None:
    run = subprocess.run(
        command(tmp_path, "--display", "dashboard"),
        env=environ(0) | {"TERM": "xterm-256color"},
        capture_output=True,
        check=True,
    )
    assert b" done " in run.stderr
    assert not {b"\x1b", b"\r"} & {bytes([byte]) for byte in run.stdout + run.stderr}
