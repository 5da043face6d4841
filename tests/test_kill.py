"""``kill -9`` in the middle of a run, and the same command again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.runs import results

pytestmark = pytest.mark.slow

KILLS = 5


def command(folder: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "editbench", "run", "--display", "json", "--limit", "2"),
        *("--out", str(folder / "runs"), "--spill-dir", str(folder / "store")),
        *("--editor", "diffusers:tiny/qwen-image-edit", "--judge", "transformers:tiny/qwen3-vl"),
        *more,
    ]


def finished(folder: Path, *more: str) -> Path:
    """Run to the end and return the run's folder."""
    done = subprocess.run(command(folder, *more), check=True, capture_output=True, text=True)
    return Path(json.loads(done.stdout.splitlines()[0])["folder"])


def killed(folder: Path, *more: str, after: int, chance: random.Random) -> int:
    """Run, kill at some instant after so many events; return how many edits were announced."""
    with subprocess.Popen(
        command(folder, *more), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        edits = 0
        for number, line in enumerate(process.stdout):
            edits += json.loads(line)["event"] == "edit"
            if number >= after:
                time.sleep(chance.random() * 0.3)  # any instant will do: that is the test
                break
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read().splitlines()
    return edits + sum('"event": "edit"' in line for line in rest)


#: of the device, and so many events of a run on it; the largest component has 638 kB
BUDGETS = {"whole": ((), 34), "in parts": (("--device-budget", "640kB"), 66)}


@pytest.mark.parametrize("way", BUDGETS)
def test_a_run_that_was_killed_ends_as_if_nothing_had_happened(tmp_path: Path, way: str) -> None:
    more, events = BUDGETS[way]
    undisturbed = finished(tmp_path / "quiet")
    chance = random.Random(20261123)
    edits = 0
    for after in sorted(chance.randrange(2, events) for _ in range(KILLS)):
        edits += killed(tmp_path / "loud", *more, after=after, chance=chance)
    folder = finished(tmp_path / "loud", *more)
    # The summary says that the device without a budget is a pretended one.
    assert results(folder)[more != () :] == results(undisturbed)[more != () :]
    log = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert any(event["event"] == "part" for event in log) == bool(more)
    made = [event["pair"] for event in log if event["event"] == "edit"]
    assert sorted(made) == sorted(set(made)), "a finished edit was made again"
    assert edits <= len(made) == 10
