from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editbench.errors import ResultError
from editbench.records import Outcome
from editbench.report.files import replaced, write_results
from editbench.report.markdown import escape
from editbench.report.result import RunResult
from tests.report.builders import META, failed, scored, unparsable

OUTCOMES = [scored(8), scored(3, 2), failed(3, category="social"), unparsable(4)]


def test_results_can_be_read_back(tmp_path: Path) -> None:
    summary = write_results(tmp_path, OUTCOMES, meta=META)
    result = RunResult(tmp_path)
    assert result.finished and result.summary == summary
    assert [item["id"] for item in result.items()] == ["p1", "p2", "p3", "p4"]
    assert result.summary["judge"] == "tiny/qwen3-vl"
    assert result.rows()[-1].n == 2


def test_the_same_results_make_the_same_bytes_wherever_they_lie(tmp_path: Path) -> None:
    names = ("items.jsonl", "summary.json", "report.md")
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_results(tmp_path / name, OUTCOMES, meta=META)
        found.append([(tmp_path / name / file).read_bytes() for file in names])
    assert found[0] == found[1]


def test_the_summary_does_not_know_the_name_of_the_run(tmp_path: Path) -> None:
    write_results(tmp_path, OUTCOMES, meta=META)
    assert "kris_tiny" not in (tmp_path / "summary.json").read_text()


def test_a_run_without_a_summary_is_unfinished(tmp_path: Path) -> None:
    result = RunResult(tmp_path)
    assert not result.finished
    assert result.summary == {} and result.rows() == [] and list(result.items()) == []
    assert result.settings == {} and list(result.events()) == []
    with pytest.raises(ResultError, match="not finished"):
        result.to_markdown()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="no run at"):
        RunResult(tmp_path / "nowhere")


def test_a_damaged_summary_is_named(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(ResultError, match=r"summary\.json is damaged"):
        RunResult(tmp_path).summary  # noqa: B018


def test_an_error_halfway_leaves_the_old_results(tmp_path: Path) -> None:
    write_results(tmp_path, OUTCOMES, meta=META)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def broken() -> Iterator[Outcome]:
        yield scored(1)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        write_results(tmp_path, broken(), meta=META)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_file_is_on_disk_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, os.replace

    def seen_fsync(handle: int) -> None:
        order.append("fsync")
        fsync(handle)

    def seen_replace(old: Path, new: Path) -> None:
        order.append("replace")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "replace", seen_replace)
    with replaced(tmp_path / "a.txt") as stream:
        stream.write("a")
    assert order == ["fsync", "replace", "fsync"]


def test_half_a_surrogate_pair_survives_the_summary(tmp_path: Path) -> None:
    write_results(tmp_path, [scored(5, category="a\ud800")], meta=META)
    assert list(RunResult(tmp_path).summary["categories"]) == ["a\ud800"]


def test_the_report_tells_worst_and_best_failures_and_settings(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('seed = 3\nname = "```"\n')
    outcomes = [*(scored(float(score), score) for score in range(11)), failed(20), failed(21)]
    write_results(tmp_path, outcomes, meta=META)
    text = (tmp_path / "report.md").read_text()
    assert "**Note:** scores mean nothing" in text
    assert "| 2 | edit_failed | too large |" in text
    worst, best = text.partition("## Best pairs")[::2]
    assert [f"| {score}.00 | p{score} |" in worst for score in range(6)] == [True] * 5 + [False]
    assert best.index("| 10.00 |") < best.index("| 6.00 |")
    assert text.rstrip().endswith("````") and "seed = 3" in text


def test_failures_of_many_kinds_are_cut_short(tmp_path: Path) -> None:
    write_results(tmp_path, [failed(i, message=f"kind {i}") for i in range(25)], meta=META)
    assert "and 5 further kinds" in (tmp_path / "report.md").read_text()


HOSTILE = "a|b `c` <script>\n# [x](y) ![z](w) \x1b[31m *d* _e_ ~f~ \\"


def test_hostile_text_adds_no_row_no_markup_and_no_tag(tmp_path: Path) -> None:
    outcome = scored(5, category=HOSTILE, instruction=HOSTILE)
    write_results(tmp_path, [outcome, failed(2, message=HOSTILE)], meta=META | {"suite": HOSTILE})
    text = (tmp_path / "report.md").read_text()
    assert "<script" not in text and "\x1b" not in text
    rows = [line for line in text.splitlines() if "&lt;script" in line and line.startswith("|")]
    assert len(rows) == 4  # of its category, the failure, the worst and the best pair
    for row in rows:
        assert not row.replace("\\\\", "").replace("\\|", "").strip("|").count("||")


@given(st.text())
def test_escaped_text_is_one_line_without_live_markup(text: str) -> None:
    line = escape(text)
    assert len(line.splitlines()) <= 1
    bare = line.replace("\\\\", "")
    for mark in "`*_[]|~#!":
        assert bare.count(mark) == bare.count("\\" + mark)
    assert "<" not in line and ">" not in line


def test_the_sheet_has_criteria_as_columns_and_no_formulas(tmp_path: Path) -> None:
    write_results(
        tmp_path, [scored(8.0, instruction="=HYPERLINK(1)"), failed(2, message="@x")], meta=META
    )
    stream = io.StringIO()
    RunResult(tmp_path).to_csv(stream)
    head, first, second = csv.reader(io.StringIO(stream.getvalue()))
    assert head[5:7] == ["criteria.follows", "criteria.quality"]
    assert first[2] == "'=HYPERLINK(1)" and first[4:7] == ["8.0", "8.0", "7.0"]
    assert second[4:7] == ["", "", ""] and second[-1] == "'@x"


def test_summary_json_is_plain_json(tmp_path: Path) -> None:
    write_results(tmp_path, OUTCOMES, meta=META)
    text = (tmp_path / "summary.json").read_text()
    value = json.loads(text, parse_constant=pytest.fail)
    assert list(value)[:2] == ["version", "suite"] and value["version"] == 1
