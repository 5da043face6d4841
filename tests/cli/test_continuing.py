"""Runs that go on and scores that are made again: real tiny models, one pair a category."""

from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from editbench import api
from editbench.cli.app import app
from editbench.config import layered
from editbench.engine.store import Store
from tests.runs import TINY, pairs


def invoke(*given: str) -> Result:
    return CliRunner().invoke(app, given)


def kinds(name: str) -> list[str]:
    """What a run's last session announced."""
    events = [event["event"] for event in api.open_result(name).events()]
    return events[len(events) - events[::-1].index("run.start") :]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, shared_home: Path) -> Path:
    """A folder with one finished run of two pairs; its suite is named by a relative path."""
    folder = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDITBENCH_HOME", str(shared_home))
        patch.chdir(folder)
        pairs(folder / "suite", ["a", "b"])
        here = {"suite": {"path": "suite", "limit": None}, "memory": {"folder": "store"}}
        api.run(api.load_config(overrides=layered(TINY, here)))
    return folder


@pytest.fixture
def place(first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, to change."""
    shutil.copytree(first, tmp_path / "copy")
    for file in (tmp_path / "copy" / "runs").rglob("run.toml"):
        file.write_text(file.read_text().replace(str(first), str(tmp_path / "copy")))
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def only_run() -> api.RunResult:
    (result,) = api.list_runs()
    return result


def test_a_run_file_of_a_run_names_the_same_run_from_anywhere(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = only_run()
    monkeypatch.chdir(tmp_path)
    file = place / "runs" / old.name / "run.toml"
    assert invoke("run", str(file), "-o", str(place / "runs"), "-qq").exit_code == 0
    assert [run.name for run in api.list_runs(place / "runs")] == [old.name]


def test_resume_goes_on_with_the_latest_unfinished_run(place: Path) -> None:
    old = only_run()
    (old.folder / "summary.json").unlink()
    result = invoke("resume")
    assert result.exit_code == 0, result.stderr
    assert f"going on with {old.name}" in result.stderr
    assert "edit" not in kinds(old.name)
    assert only_run().finished
    said = invoke("resume")
    assert said.exit_code == 2 and "every run in runs is finished" in said.stderr
    assert invoke("resume", old.name, "-q").stdout.strip().endswith(old.name)


def test_resume_takes_flags_that_change_no_result_and_no_others(place: Path) -> None:
    name = only_run().name
    assert invoke("resume", name, "--retries", "3", "-qq").exit_code == 0
    assert only_run().settings["run"]["retries"] == 3
    assert "No such option" in invoke("resume", name, "--seed", "3").stderr


def test_the_environment_and_the_project_do_not_change_a_run_that_goes_on(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = only_run().name
    (place / "pyproject.toml").write_text("[tool.editbench.suite]\nlimit = 1\n")
    monkeypatch.setenv("EDITBENCH_SET", "seed=5")
    monkeypatch.setenv("EDITBENCH_RETRIES", "4")
    assert invoke("resume", name, "-qq").exit_code == 0
    settings = only_run().settings
    assert settings["seed"] == 0 and settings["suite"].get("limit") is None
    assert settings["run"]["retries"] == 4


def test_another_judge_scores_the_stored_edits_in_a_run_of_its_own(place: Path) -> None:
    old = only_run()
    result = invoke("score", old.name, "-s", "judge.max_new_tokens=150")
    assert result.exit_code == 0, result.stderr
    new = next(run for run in api.list_runs() if run.name != old.name)
    assert kinds(new.name).count("score") == 2 and "edit" not in kinds(new.name)
    edits = [[item["edit"]["key"] for item in run.items()] for run in (old, new)]
    assert edits[0] == edits[1]


def test_the_same_judge_and_rubric_are_no_reason_to_score_again(place: Path) -> None:
    result = invoke("score", only_run().name)
    assert result.exit_code == 2 and "was scored like this already" in result.stderr


def test_scoring_makes_no_edit_even_where_one_is_missing(place: Path) -> None:
    old = only_run()
    gone = next(iter(old.items()))
    with Store.open(place / "store") as store:
        store.delete(gone["edit"]["key"])
    result = invoke("score", old.name, "-s", "judge.max_new_tokens=150", "--name", "x")
    assert result.exit_code == 3, result.stderr
    states = {item["id"]: item["error"] for item in api.open_result("x").items()}
    assert states[gone["id"]]["type"] == "NotStored"
    assert sum(error is None for error in states.values()) == 1


def replace_replies(result: api.RunResult, replies: dict[str, str]) -> None:
    lines: list[dict[str, Any]] = list(result.items())
    for line in lines:
        line["raw"] = replies.get(line["id"], line["raw"])
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (result.folder / "items.jsonl").write_text(text)


def test_kept_replies_are_read_anew_without_store_or_model(place: Path) -> None:
    shutil.rmtree(place / "store")
    old = only_run()
    before = {item["id"]: item["overall"] for item in old.items()}
    assert invoke("score", old.name, "--reparse").exit_code == 0
    assert {item["id"]: item["overall"] for item in only_run().items()} == before
    replace_replies(old, {"a": "I would say seven."})
    result = invoke("score", old.name, "--reparse", "-q")
    assert result.stdout.strip() == str(old.folder)
    states = {item["id"]: item["state"] for item in only_run().items()}
    assert states == {"a": "unparsable", "b": "ok"}


def test_another_formula_reads_the_replies_into_a_run_beside(place: Path) -> None:
    old = only_run()
    text = (resources.files("editbench.suites") / "default_rubric.toml").read_text("utf-8")
    formula = next(line for line in text.splitlines() if line.startswith("formula"))
    Path("lowest.toml").write_text(text.replace(formula, 'formula = "min"'))
    assert invoke("score", old.name, "--reparse", "--rubric", "lowest.toml").exit_code == 0
    new = api.open_result(f"{old.name}_lowest")
    for one, other in zip(old.items(), new.items(), strict=True):
        assert other["overall"] == min(one["criteria"].values())
    assert old.summary["overall"]["mean"] != new.summary["overall"]["mean"]


def test_replies_to_other_questions_are_not_read(place: Path) -> None:
    old = only_run()
    text = (resources.files("editbench.suites") / "default_rubric.toml").read_text("utf-8")
    name = next(iter(next(iter(old.items()))["criteria"]))
    Path("other.toml").write_text(text.replace(name, "beauty"))
    result = invoke("score", old.name, "--reparse", "--rubric", "other.toml")
    assert result.exit_code == 2 and "answer no questions of the rubric other" in result.stderr
    assert len(api.list_runs()) == 1


def test_failed_asks_again_only_where_there_is_no_score(place: Path) -> None:
    whole = only_run().name
    made = invoke("score", whole, "-s", "judge.max_new_tokens=2", "--name", "cut")
    assert made.exit_code == 3 and "truncated: 2" in made.stderr
    assert invoke("score", "cut", "--failed").exit_code == 3
    assert kinds("cut").count("score") == 2
    assert invoke("score", whole, "--failed").exit_code == 0
    assert "score" not in kinds(whole)
    assert invoke("score", "cut", "--failed", "--rubric", "default").exit_code == 2


def test_the_python_api_scores_again(place: Path) -> None:
    old = only_run()
    new = api.score(old, settings=["judge.max_new_tokens=150"], name="again")
    assert new.name == "again" and new.summary["overall"]["pairs"] == 2


def test_the_run_file_that_init_writes_is_what_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("init").exit_code == 0
    with Path("run.toml").open("a") as file:
        file.write('name = "mine"\n')  # the last table is [run]
    result = invoke("run", "-n", "1", "-c", "causal")
    assert result.exit_code == 0 and "note: running run.toml" in result.stderr
    assert only_run().name == "mine"


def test_the_demo_is_one_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDITBENCH_SPILL_DIR", "elsewhere")  # of no effect on the demo
    result = invoke("demo", "-n", "1", "-q")
    assert result.exit_code == 0, result.stderr
    assert api.open_result(result.stdout.strip()).summary["suite"] == "demo"
