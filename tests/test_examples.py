"""The examples in docs/examples, run as they stand."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"


def run(folder: Path, example: str, **environ: str) -> None:
    """Run one category of the demo with an example as its observer, in a process of its own."""
    use = f'{{ use = "{EXAMPLES / example}", project = "edits" }}'
    settings = ["--set", f"observers=[{use}]", "-n", "1", "-c", "causal", "--name", "seen", "-q"]
    subprocess.run(
        [sys.executable, "-m", "editbench", "run", *settings],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}", **environ},
        check=True,
        timeout=120,
    )


@pytest.mark.skipif(
    not importlib.util.find_spec("trackio"),
    reason="trackio is not installed: it wants an older pillow than the one that is tested here",
)
def test_trackio_keeps_a_run_on_this_machine(tmp_path: Path) -> None:
    kept = {"TRACKIO_DIR": str(tmp_path / "trackio")}
    run(tmp_path, "trackio_observer.py:TrackioObserver", **kept)
    read = "import json, trackio; logs = trackio.SQLiteStorage.get_logs('edits', 'seen')"
    done = subprocess.run(
        [sys.executable, "-c", f"{read}; print(json.dumps(logs))"],
        env={**os.environ, **kept},
        capture_output=True,
        text=True,
        check=True,
    )
    logs: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    names = {name for log in logs for name in log}
    assert {"edit/seconds", "score/seconds", "score/causal", "mean/causal"} <= names
    summary = json.loads((tmp_path / "runs" / "seen" / "summary.json").read_text())
    means = [log["mean/causal"] for log in logs if "mean/causal" in log]
    assert means == [summary["categories"]["causal"]["mean"]]


@pytest.mark.skipif(not importlib.util.find_spec("wandb"), reason="wandb is not installed")
def test_wandb_keeps_a_run_offline(tmp_path: Path) -> None:
    run(tmp_path, "wandb_observer.py:WandbObserver", WANDB_MODE="offline")
    assert list((tmp_path / "wandb").glob("offline-run-*"))


@pytest.mark.slow
# The notebook's kernel is another process, whose sockets close with it.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_the_notebook_runs_from_top_to_bottom(monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(EXAMPLES / "editbench_from_python.ipynb", as_version=4)
    kept = [cell.source for cell in notebook.cells]
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    assert [cell.source for cell in notebook.cells] == kept
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ())
    )
    assert "placement  phased" in printed and "qwen3-vl" in printed
