from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from editbench.cli.app import app
from editbench.report.files import write_results
from tests.cli.builders import a_run
from tests.report.builders import META, failed, scored, unparsable


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs: ``done``, and ``begun`` that is not finished."""
    monkeypatch.chdir(tmp_path)
    for name in ("begun", "done"):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "run.toml").write_text("seed = 0\n")
    outcomes = [
        scored(8, category="物理"),
        scored(6, 2, category="物理"),
        failed(3, category="social"),
        unparsable(4, raw="I\x1b[2J would\nsay [b]seven[/b]"),
    ]
    write_results(tmp_path / "runs" / "done", outcomes, meta=META)
    lines = [json.dumps(event.as_json()) for event in list(a_run())[:30]]
    torn = '{"event": "sco'
    (tmp_path / "runs" / "begun" / "events.jsonl").write_text("\n".join([*lines, torn]))
    return tmp_path / "runs"


def test_show_prints_the_table_of_a_finished_run(out: Path) -> None:
    result = invoke("show", "done")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "run      done  (finished)"
    assert "note     scores mean nothing" in lines
    cells = [line.split() for line in lines[-5:]]
    assert cells[0] == ["物理", "2", "7.00", "±", "7.00", "0", "6.00", "7.00", "8.00"]
    assert cells[1] == ["social", "0", "-", "1", "-", "-", "-"]
    assert cells[-1][:2] == ["overall", "2"]


def test_chinese_names_keep_the_columns_straight(out: Path) -> None:
    from rich.cells import cell_len

    lines = invoke("show", "done").stdout.splitlines()[-5:]
    rows = [line for line in lines if line.strip()]
    assert len({cell_len(row.rstrip()) for row in rows}) == 1


def test_show_tells_how_far_an_unfinished_run_is(out: Path) -> None:
    result = invoke("show", "begun")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "run      begun  (unfinished)"
    overall = next(line.split() for line in lines if line.startswith("overall"))
    assert overall[1:4] == ["19/20", "1/20", "1"]


def test_show_prints_everything_of_one_pair_and_nothing_that_commands(out: Path) -> None:
    result = invoke("show", "done", "--pair", "p4")
    assert result.exit_code == 0
    assert "raw\n  I·[2J would\n  say [b]seven[/b]\n" in result.stdout
    assert "no JSON in the reply" in result.stdout


def test_show_as_json_is_the_item_itself(out: Path) -> None:
    value: dict[str, Any] = json.loads(invoke("show", "done", "--pair", "p4", "--json").stdout)
    assert value["raw"] == "I\x1b[2J would\nsay [b]seven[/b]"
    status = json.loads(invoke("show", "begun", "--json").stdout)
    assert status["finished"] is False and status["so_far"]["edited"] == 19
    assert json.loads(invoke("show", "done", "--json").stdout)["summary"]["overall"]["n"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "there is no run 'nowhere'"),
        (["done", "--pair", "p9"], "done has no pair 'p9'"),
        (["begun", "--pair", "p1"], "begun is not finished"),
    ],
)
def test_what_cannot_be_shown_is_named(out: Path, arguments: list[str], said: str) -> None:
    result = invoke("show", *arguments)
    assert result.exit_code == 2
    assert result.stdout == "" and said in result.stderr


def test_reports_come_in_several_forms(out: Path, tmp_path: Path) -> None:
    assert invoke("report", "done", "-f", "md").stdout.startswith("# editbench: kris\n")
    assert invoke("report", "done", "--format", "csv").stdout.count("\n") == 5
    whole = json.loads(invoke("report", "done", "--format", "json").stdout)
    assert [item["id"] for item in whole["items"]] == ["p1", "p2", "p3", "p4"]
    assert whole["summary"]["overall"]["pairs"] == 4
    target = tmp_path / "report.csv"
    result = invoke("report", "done", "-f", "csv", "--to", str(target))
    assert result.stdout == "" and "written" in result.stderr
    assert target.read_text(encoding="utf-8").startswith("id,category")


def test_a_report_is_a_page_unless_another_form_is_named(out: Path, tmp_path: Path) -> None:
    (out / "done" / "run.toml").write_text(f'[memory]\nfolder = "{tmp_path / "none"}"\n')
    result = invoke("report", "done")
    assert result.exit_code == 0 and result.stdout == ""
    assert "report.html" in result.stderr
    assert "done: the edits cannot be shown" in result.stderr  # as the page says, too
    page = (out / "done" / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "done: the edits cannot be shown" in page
    assert invoke("report", "done", "--picture-bytes", "8").exit_code == 2


def test_several_runs_make_one_page_and_nothing_else(better: Path, tmp_path: Path) -> None:
    assert invoke("report", "done", "better", "--to", "both.html").exit_code == 0
    assert 'id="differences"' in (tmp_path / "both.html").read_text(encoding="utf-8")
    assert invoke("compare", "done", "better", "--html", "two.html").exit_code == 0
    assert (tmp_path / "two.html").stat().st_size == (tmp_path / "both.html").stat().st_size
    result = invoke("report", "done", "better", "-f", "csv")
    assert result.exit_code == 2 and "editbench compare A B" in result.stderr


def test_the_hub_form_needs_a_benchmark(out: Path) -> None:
    result = invoke("report", "done", "-f", "hf")
    assert result.exit_code == 2 and "--hf-dataset" in result.stderr
    result = invoke("report", "done", "-f", "hf", "--hf-dataset", "org/edits")
    assert result.stdout.startswith('- dataset:\n    id: "org/edits"\n')


def test_an_unfinished_run_has_no_report(out: Path) -> None:
    for form in ("html", "md", "csv", "json"):
        result = invoke("report", "begun", "--format", form)
        assert result.exit_code == 2 and result.stdout == ""


def test_a_report_that_cannot_be_written_is_a_problem_of_the_machine(out: Path) -> None:
    assert invoke("report", "done", "--to", str(out)).exit_code == 4


def test_list_names_runs_and_what_can_be_run(out: Path) -> None:
    rows = json.loads(invoke("list", "--json").stdout)
    assert {row["run"]: row["state"] for row in rows} == {"begun": "unfinished", "done": "finished"}
    assert "2/4" in invoke("list").stdout
    assert "demo" in invoke("list", "suites").stdout


def test_an_empty_folder_has_no_runs(tmp_path: Path) -> None:
    result = invoke("list", "--out", str(tmp_path))
    assert result.exit_code == 0 and "there are no runs" in result.stderr


def test_init_writes_a_run_file_that_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from editbench.api import RunConfig, load_config

    monkeypatch.chdir(tmp_path)
    assert invoke("init", "new").exit_code == 0
    assert load_config(tmp_path / "new" / "run.toml") == RunConfig()
    again = invoke("init", "new")
    assert again.exit_code == 2 and "--force replaces it" in again.stderr
    assert invoke("init", "new", "--force").exit_code == 0


@pytest.fixture
def better(out: Path) -> Path:
    """A further run, ``better``: one pair of ``done`` went up, one down."""
    folder = out / "better"
    folder.mkdir()
    (folder / "run.toml").write_text("seed = 1\n")
    outcomes = [scored(9.5, category="物理"), scored(5.5, 2, category="物理")]
    write_results(folder, outcomes, meta=META)
    return out


def test_compare_shows_both_runs_and_says_what_to_doubt(better: Path) -> None:
    result = invoke("compare", "done", "better")
    assert result.exit_code == 0
    assert result.stdout.startswith("a  done\nb  better\n")
    row = next(line.split() for line in result.stdout.splitlines() if line.startswith("物理"))
    assert row[:5] == ["物理", "2", "7.00", "7.50", "+0.50"] and row[-3:] == ["1", "0", "1"]
    assert "seed" in result.stdout and "pairs in one run only: 2 in a" in result.stderr


def test_compare_speaks_json_and_markdown(better: Path) -> None:
    value = json.loads(invoke("compare", "done", "better", "--json").stdout)
    assert value["overall"]["difference"] == 0.5 and value["b"] == "better"
    text = invoke("compare", "done", "better", "-f", "md").stdout
    assert "| 物理 | 2 | 7.00 | 7.50 | +0.50 |" in text


def test_a_condition_decides_the_exit_code(better: Path) -> None:
    result = invoke("compare", "better", "done", "--fail-if", "drop > 0.2")
    assert result.exit_code == 5 and "overall: drop 0.5 > 0.2" in result.stderr
    assert "overall" in result.stdout
    assert invoke("compare", "better", "done", "--fail-if", "drop > 0.6").exit_code == 0
    assert invoke("compare", "better", "done", "--fail-if", "fall > 0.6").exit_code == 2
    assert invoke("compare", "better", "nowhere").exit_code == 2
