"""Real runs of the built-in demo: real model classes, random weights, one or two pairs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from editbench.cli.app import app
from editbench.errors import StoreFull

EDITBENCH = [sys.executable, "-c", "from editbench.cli.app import main; main()"]
ROOT = Path(__file__).parents[2]
ONE = ("-c", "physical", "-n", "1")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, shared_home: Path) -> Path:
    """A folder in which one pair was run, its events in ``events``, and a store of its own."""
    place = tmp_path_factory.mktemp("place")
    done = command(place, shared_home, "run", *ONE, "--display", "json")
    assert done.returncode == 0, done.stderr
    (place / "events").write_text(done.stdout)
    return place


def arguments(place: Path, *given: str) -> list[str]:
    folders = ["--out", str(place / "runs"), "--spill-dir", str(place / "store")]
    return [*given, *(folders if given[0] in ("run", "plan") else folders[:2])]


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "EDITBENCH_HOME": str(home), "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


def command(place: Path, home: Path, *given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*EDITBENCH, *arguments(place, *given)],
        cwd=place,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=120,
    )


def invoke(place: Path, *given: str) -> Result:
    return CliRunner().invoke(app, arguments(place, *given))


def test_a_run_shows_its_table_its_notes_and_what_to_do_next(place: Path) -> None:
    result = invoke(place, "run", *ONE)
    assert result.exit_code == 0
    rows = [line.split()[:2] for line in result.stdout.splitlines() if line.strip()]
    assert rows[0] == ["category", "n"] and rows[-2:] == [["physical", "1"], ["overall", "1"]]
    before, _, after = result.stderr.partition(" done ")
    assert "running the built-in demo" in before
    assert "scores mean nothing" in before and "scores mean nothing" in after
    assert "reusing 1 edit, 1 score" in before
    assert "next: editbench show " in after


def test_a_quiet_run_prints_only_its_folder(place: Path) -> None:
    result = invoke(place, "run", *ONE, "-q")
    assert Path(result.stdout.strip()).is_dir() and result.stdout.count("\n") == 1
    assert result.stderr == ""
    assert invoke(place, "run", *ONE, "-qq").stdout == ""


def test_json_is_all_there_is_on_stdout(place: Path) -> None:
    values = [json.loads(line) for line in (place / "events").read_text().splitlines()]
    assert values[0]["event"] == "run.start" and values[-1]["event"] == "run.end"
    assert values[-1]["status"] == "ok" and values[-1]["summary"]["overall"]["n"] == 1


def test_a_finished_run_can_be_shown_and_planned(place: Path) -> None:
    assert "(finished)" in invoke(place, "show").stdout
    plan = json.loads(invoke(place, "plan", *ONE, "--json").stdout)
    assert plan["placement"] == "nothing to do"
    assert "nothing to do" in invoke(place, "plan", *ONE).stdout
    assert (next((place / "runs").iterdir()) / "editbench.log").is_file()


def test_a_wrong_setting_is_told_before_anything_runs(place: Path) -> None:
    result = invoke(place, "run", "-s", "editor.dytpe=bf16")
    assert result.exit_code == 2
    assert "did you mean 'dtype'?" in result.stderr and result.stdout == ""


def test_failed_pairs_are_counted_and_set_the_exit_code(place: Path) -> None:
    hurried = ("run", *ONE, "--seed", "77", "--item-timeout", "1ms", "--name", "hurried")
    result = invoke(place, *hurried)
    assert result.exit_code == 3
    assert result.stdout.splitlines()[-1].split() == ["overall", "0", "-", "1", "-", "-", "-"]
    assert "failed: 1 pair, 0 allowed (--max-failures)\n  edit_failed: 1" in result.stderr
    assert invoke(place, *hurried, "--max-failures", "1").exit_code == 0


def test_doctor_tells_what_is_there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITBENCH_HOME", str(place / "home"))
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code in (0, 4)
    assert "versions\n  python " in result.stdout and "name cpu" in result.stdout
    facts = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert (result.exit_code == 4) == bool(facts["problems"])
    assert all(f"problem: {problem}" in result.stderr for problem in facts["problems"])


def test_a_bug_leaves_its_traceback_in_the_log(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from editbench import api

    def broken(run: api.Run) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(api.Run, "_write", broken)
    result = invoke(place, "run", *ONE, "--name", "bug")
    log = place / "runs" / "bug" / "editbench.log"
    assert result.exit_code == 1
    assert "this is a bug in editbench: ZeroDivisionError: oh" in result.stderr
    assert f"the traceback is in {log}" in result.stderr
    assert "Traceback" in log.read_text() and "Traceback" not in result.stderr


def test_a_full_disk_is_told_as_such(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from editbench import api

    def full(run: api.Run) -> None:
        raise StoreFull("the store is full", hint="--spill-budget 80GB")

    monkeypatch.setattr(api.Run, "_write", full)
    result = invoke(place, "run", *ONE, "--name", "full")
    assert result.exit_code == 4
    assert result.stderr.endswith("error: the store is full\n  --spill-budget 80GB\n")


@pytest.fixture
def going(place: Path, shared_home: Path) -> Iterator[subprocess.Popen[str]]:
    """A run in another process that has just announced an edit."""
    many = ("run", "-n", "4", "--seed", "9", "--name", "going", "--display", "json")
    process = subprocess.Popen(
        [*EDITBENCH, *arguments(place, *many)],
        cwd=place,
        env=environment(shared_home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    with process, process.stdout as lines:
        for line in lines:
            if json.loads(line)["event"] == "edit":
                break
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_a_signal_stops_the_run_and_says_how_to_go_on(
    going: subprocess.Popen[str], number: signal.Signals, code: int, place: Path
) -> None:
    going.send_signal(number)
    assert going.stdout is not None and going.stderr is not None
    last = [json.loads(line) for line in going.stdout][-1]
    said = going.stderr.read()
    assert going.wait(60) == code
    assert last["event"] == "run.end" and last["status"] == "stopped"
    assert "edits and 0 of 20 scores are stored and safe" in said
    assert "to continue: editbench run -n 4 --seed 9 --name going" in said
    assert "(unfinished)" in invoke(place, "show", "going").stdout
