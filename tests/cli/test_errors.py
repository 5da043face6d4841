"""What a user is told of each thing that can go wrong: real commands in a real folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner, Result

from editbench.cli.app import app
from editbench.engine.lock import RunLock

ROOT = Path(__file__).parents[2]
BACKEND = """
from pydantic import BaseModel
from editbench.backends.pillow_editor import PillowEditor
class Bare: pass
class Raising(PillowEditor):
    def edit(self, requests, *, stop):
        raise KeyError("a slip in the plug-in")
class Unmakable(PillowEditor):
    def __init__(self, settings):
        raise RuntimeError("no licence")
"""
ROWS = [
    {"id": "a", "category": "x", "instruction": "i"},
    {"id": "a", "category": "x", "instruction": "i", "source": "no.png"},
    {"id": "b", "instruction": 7.5, "source": "no.png"},
]
RUN_FILE = """
sede = 1
keep = "all"
[editor]
dytpe = "bf16"
args = 3
[judge]
dtype = "bf17"
[memory]
host = -1
[run]
retries = "a"
"""


class Case(NamedTuple):
    given: str
    code: int
    said: tuple[str, ...]


CASES = [
    Case("rnu", 2, ("No such command 'rnu'. Did you mean 'run'?",)),
    Case("run --limt 3", 2, ("No such option: --limt", "--limit")),
    Case("run -n x", 2, ("'--limit'", "integer")),
    Case("run -n 0", 2, ("suite.limit", "expected at least 1, got 0")),
    Case("run -e difusers", 2, ("no editor 'difusers', did you mean 'diffusers'?",)),
    Case("run -j nothing", 2, ("no judge 'nothing'", "installed: transformers")),
    Case("run -b dmeo", 2, ("there is no suite dmeo, did you mean demo?",)),
    Case("run -b siute.jsonl", 2, ("did you mean suite.jsonl?",)),
    Case("run -b folder", 2, ("neither pairs.jsonl nor pairs.csv",)),
    Case("run -b mine.py", 2, (".py is no format of a suite", "known are .json")),
    Case("run -c physcal", 2, ("did you mean 'physical'", "categories are physical (8)")),
    Case("run --pair zz", 2, ("pair 'zz' is not in the suite",)),
    Case("run --pair @none", 2, ("--pair cannot read none",)),
    Case("run --host-budget 8", 2, ("memory.host", "got '8' (write 8GB or 8MB)")),
    Case("run --device-budget 150%", 2, ("memory.device_budget", "1% to 100%, got '150%'")),
    Case("run --device-budget x%", 2, ("memory.device_budget", "1% to 100%, got 'x%'")),
    Case("run --item-timeout 10", 2, ("expected a duration such as '90s' or '10m'",)),
    Case("run --keep some", 2, ("memory.keep", "'all', 'until-scored' or 'thumbnails'")),
    Case("run --name a/b", 2, ("run.name", "expected the name of one folder, got 'a/b'")),
    Case("run --set seed", 2, ("--set expects KEY=VALUE, got 'seed'",)),
    Case("run --device gpu", 4, ("cannot run models on 'gpu'", "auto, cpu or cuda:0")),
    Case("run --device cuda:9", 4, ("there is no cuda:9", "editbench doctor")),
    Case("run none.toml", 2, ("there is no run file none.toml", "editbench init")),
    Case("run torn.toml", 2, ("cannot read torn.toml: Unclosed array",)),
    Case(
        "run faulty.toml",
        2,
        (
            "faulty.toml has 7 problems",
            "sede                     unknown setting, did you mean 'seed'?",
            "keep                     unknown setting, did you mean 'memory.keep'?",
            "editor.dytpe             unknown setting, did you mean 'dtype'?",
            "editor.args              expected a table, such as { name = value }, got 3",
            "judge.dtype              expected 'auto', 'bf16', 'fp16' or 'fp32', got 'bf17'",
            "memory.host              expected a size such as '8GB', got -1",
            "run.retries              expected a whole number, got 'a'",
        ),
    ),
    Case(
        "run -b suite.jsonl",
        2,
        (
            "suite.jsonl:1: no source",
            "suite.jsonl:2: the id 'a' is taken by suite.jsonl:1",
            "suite.jsonl:2: there is no file no.png",
            "suite.jsonl:3: no category",
            "suite.jsonl:3: instruction must be a text, got 7.5",
        ),
    ),
    Case("run --rubric nope", 2, ("there is no rubric nope", "give a TOML file")),
    Case("run -e mine.py:Bare", 2, ("mine.py:Bare is no backend",)),
    Case("run -e mine.py:None", 2, ("mine.py has no 'None'",)),
    Case("run -e none.py:X", 2, ("there is no file none.py",)),
    Case("run -e broken.py:X", 2, ("cannot import broken.py", "No module named 'nowhere'")),
    Case("run -e mine.py:Unmakable", 4, ("cannot be made: RuntimeError: no licence",)),
    Case("run -e diffusers:Qwen/Absent", 4, ("cannot download Qwen/Absent", "hf download")),
    Case("run -e diffusers:folder", 4, ("folder",)),
    Case("run --out /proc/x", 4, ("cannot write in /proc/x", "what is stored is safe")),
    Case("run --spill-dir /proc/x", 4, ("could not open /proc/x",)),
    Case("run --name held", 4, ("another process holds this run: pid ", "editbench show")),
    Case("plan --device-budget 10kB", 4, ("needs 1.03 MB", "raise --device-budget")),
    Case("show hold", 2, ("there is no run 'hold' in runs, did you mean held?",)),
    Case("show held --pair p", 2, ("held is not finished",)),
    Case("resume nowhere", 2, ("there is no run 'nowhere' in runs", "editbench list")),
    Case("score held --reparse", 2, ("held is not finished", "editbench resume held")),
    Case("report held", 2, ("held is not finished",)),
    Case("cache info --spill-dir none", 4, ("there is no store in none",)),
    Case("cache prune --older-than 3", 2, ("--older-than: expected a duration",)),
    Case("init", 2, ("run.toml exists already", "--force replaces it")),
    Case("list editor", 2, ("'editor' is not one of", "'editors'")),
    Case("schema foo", 2, ("'foo' is not one of", "'rubric'")),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that can be wrong."""
    place = tmp_path_factory.mktemp("place")
    (place / "folder").mkdir()
    (place / "mine.py").write_text(BACKEND)
    (place / "broken.py").write_text("import nowhere\n")
    (place / "suite.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (place / "torn.toml").write_text("suite = [1, 2\n")
    (place / "faulty.toml").write_text(RUN_FILE)
    (place / "run.toml").write_text("")
    (place / "runs" / "held").mkdir(parents=True)
    (place / "runs" / "held" / "run.toml").write_text("seed = 0\n")
    return place


@pytest.fixture(autouse=True)
def _there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


def invoke(*given: str) -> Result:
    return CliRunner().invoke(app, given, env={"COLUMNS": "200"})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.given)
def test_a_mistake_is_named_and_so_is_the_way_out(case: Case, place: Path) -> None:
    with RunLock(place / "runs" / "held"):
        result = invoke(*case.given.split())
    told = " ".join(result.stderr.split())
    assert result.exit_code == case.code, result.stderr
    for text in case.said:
        assert " ".join(text.split()) in told, result.stderr
    assert "Traceback" not in result.output and "bug" not in result.output
    assert result.stdout == ""


def test_a_slip_in_a_plug_in_fails_its_pairs_and_names_the_plug_in(tmp_path: Path) -> None:
    result = invoke("run", "-e", "mine.py:Raising", "-c", "causal", "-o", str(tmp_path), "-q")
    assert result.exit_code == 3
    assert "a slip in the plug-in" in result.stderr and "Traceback" not in result.stderr


def test_a_signal_before_the_run_opens_leaves_nothing_behind(tmp_path: Path) -> None:
    late = "import sys, time\nprint('here', file=sys.stderr, flush=True)\ntime.sleep(30)\n"
    (tmp_path / "late.py").write_text(late)
    command = [sys.executable, "-m", "editbench", "run", "-e", "late.py:X"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=subprocess.PIPE) as run:
        assert run.stderr
        assert run.stderr.readline() == b"here\n"
        run.send_signal(signal.SIGINT)
        said = run.stderr.read().decode()
        assert run.wait(30) == 130, said
    assert "stopped: " in said and "Traceback" not in said
    assert not (tmp_path / "runs").exists()
