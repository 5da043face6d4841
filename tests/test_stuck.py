"""What heeds nothing for half a minute, what takes hours, and a user who wants to leave."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from editbench.backends import tiny

PATIENCE = 3.0  #: seconds from the last Ctrl-C to the end of the process
PLUGIN = """
import sys
import time
from pydantic import BaseModel
from editbench.testing import ScriptedEditor


class Editor(ScriptedEditor):
    Settings = type("Settings", (BaseModel,), {})

    def __init__(self, settings):
        super().__init__()
        self.is_here = STUCK != "download"

    def fetch(self):
        print("stuck", file=sys.stderr, flush=True)
        time.sleep(30)

    def edit(self, requests, *, stop):
        if requests[0].pair_id == STUCK:
            print("stuck", file=sys.stderr, flush=True)
            time.sleep(30)
        return super().edit(requests, stop=stop)
"""


@contextmanager
def running(
    folder: Path, *more: str, stuck: str = "", judge: str = "tiny/qwen3-vl"
) -> Iterator[subprocess.Popen[str]]:
    """Run with an editor that is stuck at a pair, or in its download."""
    plugin = folder / "stuck.py"
    plugin.write_text(f"STUCK = {stuck!r}\n{PLUGIN}")
    command = [
        *(sys.executable, "-m", "editbench", "run", "--limit", "3", *more),
        *("--out", str(folder / "runs"), "--spill-dir", str(folder / "store")),
        *("--editor", f"{plugin}:Editor", "--judge", f"transformers:{judge}"),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_second_ctrl_c_ends_a_run_whose_step_is_stuck(tmp_path: Path) -> None:
    with running(tmp_path, "--display", "json", stuck="physical-2") as process:
        assert process.stdout is not None and process.stderr is not None
        assert any(line == "stuck\n" for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert any(json.loads(line)["event"] == "stopping" for line in process.stdout)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "to continue" in err and "1 of 15 edits" in err


def test_the_second_ctrl_c_ends_a_download_that_is_stuck(tmp_path: Path) -> None:
    with running(tmp_path, stuck="download") as process:
        assert process.stderr is not None
        assert any(line == "stuck\n" for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert any("again leaves at once" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "nothing was run" in err and "Traceback" not in err


def test_one_ctrl_c_ends_the_reading_of_large_weights(tmp_path: Path) -> None:
    judge = tmp_path / "judge"
    shutil.copytree(tiny.checkpoint("tiny/qwen3-vl"), judge)
    with (judge / "hours.safetensors").open("wb") as file:
        file.truncate(10**13)  # a hole, which takes no room
    with running(tmp_path, judge=str(judge)) as process:
        assert process.stderr is not None
        assert any("10.0 TB read, once" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "nothing was run" in err and "Traceback" not in err
