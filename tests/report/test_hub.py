from __future__ import annotations

import json
from pathlib import Path

import yaml

from editbench.report.files import write_results
from editbench.report.result import RunResult
from tests.report.builders import META, failed, scored


def test_the_fragment_is_the_hubs_yaml(tmp_path: Path) -> None:
    write_results(tmp_path, [scored(8), scored(6, 2), failed(3)], meta=META)
    (tmp_path / "env.json").write_text(json.dumps({"written": "2026-11-23T21:00:00+0000"}))
    text = RunResult(tmp_path).to_hub('org/a "name": #x', task="edit")
    assert yaml.safe_load(text) == [
        {
            "dataset": {"id": 'org/a "name": #x', "task_id": "edit"},
            "value": 7.0,
            "date": "2026-11-23",
            "notes": "judged by tiny/qwen3-vl, 2 of 3 pairs scored, 95 % interval 0.00 to 10.00",
        }
    ]


def test_what_is_unknown_is_null_or_left_out(tmp_path: Path) -> None:
    write_results(tmp_path, [failed()], meta=META)
    (row,) = yaml.safe_load(RunResult(tmp_path).to_hub("org/name"))
    assert row["value"] is None and row["dataset"]["task_id"] == "default" and "date" not in row
