"""Another terminal looks at a run: real processes, real files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

EDITBENCH = [sys.executable, "-m", "editbench"]
ROOT = Path(__file__).parents[2]


pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path, shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("EDITBENCH_SPILL_DIR", str(tmp_path / "store"))
    return tmp_path


def start(*given: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*EDITBENCH, *given], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def going(place: Path) -> Iterator[subprocess.Popen[str]]:
    """A run of twenty pairs, locked and on its way."""
    with start("run", "-n", "4", "--name", "going", "--display", "none") as process:
        while not (place / "runs" / "going" / "events.jsonl").exists():
            assert process.poll() is None
            time.sleep(0.05)
        yield process
        process.kill()


def test_a_run_is_followed_to_its_end(going: subprocess.Popen[str]) -> None:
    with start("show", "--follow", "--display", "json") as watcher:
        out, said = watcher.communicate(timeout=120)
    kinds = [json.loads(line)["event"] for line in out.splitlines()]
    assert kinds[0] == "run.start" and kinds[-1] == "run.end"
    assert kinds.count("edit") == kinds.count("score") == 20
    assert (watcher.returncode, said) == (0, "")
    assert going.wait(30) == 0


def test_a_run_that_is_killed_is_told_as_cut_off(going: subprocess.Popen[str]) -> None:
    with start("show", "going", "--follow", "--display", "plain") as watcher:
        assert watcher.stderr is not None
        while " edit " not in watcher.stderr.readline():
            pass
        going.kill()
        _, said = watcher.communicate(timeout=60)
    assert "going was cut off\n  editbench resume going" in said


def test_ctrl_c_ends_the_looking_and_not_the_run(going: subprocess.Popen[str]) -> None:
    with start("show", "--follow", "--display", "plain") as watcher:
        assert watcher.stderr is not None
        while " edit " not in watcher.stderr.readline():
            pass
        os.kill(watcher.pid, signal.SIGINT)
        _, said = watcher.communicate(timeout=60)
    assert watcher.returncode == 130 and "going goes on" in said
    assert going.poll() is None
    with start("list", "--json") as listing:
        assert '"running"' in listing.communicate(timeout=60)[0]
