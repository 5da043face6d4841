from __future__ import annotations

import base64
import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from editbench import api
from editbench.cli.app import app
from editbench.config import build
from tests.runs import pairs


def faults(of: Any, value: Any) -> list[str]:
    schema = api.schema(of)
    checker = jsonschema.Draft202012Validator
    checker.check_schema(schema)
    return [error.message for error in checker(schema).iter_errors(value)]


def test_what_init_writes_names_a_schema_that_it_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["init"]).exit_code == 0
    text = Path("run.toml").read_text()
    named = text.splitlines()[0].removeprefix("#:schema file://")
    assert json.loads(Path(named).read_text()) == api.schema("run")
    assert faults("run", tomllib.loads(text)) == []
    # Every setting that it shows in a comment holds, too.
    lines = [line.removeprefix("# ") if " = " in line else line for line in text.splitlines()[2:]]
    assert faults("run", tomllib.loads("\n".join(lines))) == []


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("suite = 'demo'\nseed = 3", True),
        ("[editor]\nmodel = 'x'\ndtype = 'bf16'", True),
        ("[memory]\nhost = 'auto'\nspill = '50GB'\ndevice_budget = '90%'", True),
        ("[run]\nitem_timeout = '10m'", True),
        ("observers = ['a', {use = 'b', project = 'c'}]", True),
        ("[editor]\nuse = 'mine.py:Editor'\nanything = 1", True),
        ("sed = 3", False),
        ("[editor]\ndytpe = 'bf16'", False),
        ("[judge]\nuse = 'transformers'\nmax_new_tokens = 'many'", False),
        ("[memory]\nhost = 8", False),
        ("[memory]\nspill = '50'", False),
        ("[run]\nretries = -1", False),
    ],
)
def test_the_schema_and_the_check_agree(text: str, right: bool) -> None:
    values = tomllib.loads(text)
    assert (not faults("run", values)) == right
    if "editor" not in values and "judge" not in values:
        assert (not build(values)[1]) == right


def test_pairs_of_a_suite_keep_its_schema(tmp_path: Path) -> None:
    pairs(tmp_path, ["a", "社会"])
    for line in (tmp_path / "pairs.jsonl").read_text().splitlines():
        assert faults("pairs", json.loads(line)) == []
    assert faults("pairs", {"id": "x", "category": "c", "instruction": "i"})
    assert faults("pairs", {"id": "x", "category": "c", "source": "s.png"})


def test_the_five_category_file_keeps_its_schema() -> None:
    item = {"subset": "x", "edit_instruction": "改", "src_img_b64": base64.b64encode(b"x").decode()}
    assert faults("five", [item]) == faults("five", {"物理": [item]}) == []
    assert faults("five", [{"subset": "x"}])


def test_the_rubric_that_comes_along_keeps_its_schema() -> None:
    text = (resources.files("editbench.suites") / "default_rubric.toml").read_text("utf-8")
    assert faults("rubric", tomllib.loads(text)) == []
    assert faults("rubric", {"formula": "median"})


def test_the_command_prints_it() -> None:
    result = CliRunner().invoke(app, ["schema", "rubric"])
    assert json.loads(result.stdout) == api.schema("rubric")
