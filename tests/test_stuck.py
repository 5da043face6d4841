"""A step that heeds nothing for half a minute, and a user who wants to leave."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

PATIENCE = 3.0  #: seconds from the second Ctrl-C to the end of the process
PLUGIN = """
import sys
import time
from pydantic import BaseModel
from editbench.testing import ScriptedEditor


class Editor(ScriptedEditor):
    Settings = type("Settings", (BaseModel,), {})

    def __init__(self, settings):
        super().__init__()

    def edit(self, requests, *, stop):
        if requests[0].pair_id == STUCK:
            print("stuck", file=sys.stderr, flush=True)
            time.sleep(30)
        return super().edit(requests, stop=stop)
"""


def test_the_second_ctrl_c_ends_a_run_whose_step_is_stuck(tmp_path: Path) -> None:
    stuck = "physical-2"
    plugin = tmp_path / "stuck.py"
    plugin.write_text(f"STUCK = {stuck!r}\n{PLUGIN}")
    command = [
        *(sys.executable, "-m", "editbench", "run", "--display", "json", "--limit", "3"),
        *("--out", str(tmp_path / "runs"), "--spill-dir", str(tmp_path / "store")),
        *("--editor", f"{plugin}:Editor", "--judge", "transformers:tiny/qwen3-vl"),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert any(line == "stuck\n" for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert any(json.loads(line)["event"] == "stopping" for line in process.stdout)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "to continue" in err and "1 of 15 edits" in err
