from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editbench.errors import ResultError
from editbench.records import Outcome, Pair, Verdict
from editbench.report.items import dump, read_lines, to_line
from tests.report.builders import failed, item, scored, unparsable

texts = st.text(st.characters(codec=None))


def test_a_line_says_all_that_is_known_in_a_fixed_order() -> None:
    value = item(scored(8.0))
    assert list(value) == [
        *("id", "category", "instruction", "state", "overall", "criteria", "reason", "raw"),
        *("finish", "edit", "error", "extra", "seconds"),
    ]
    assert value["raw"] == '{"overall": 8.0}'
    assert value["edit"]["bytes"] == 900 and "seconds" not in value["edit"]
    assert value["seconds"] == {"edit": 1.5, "score": 0.25}
    assert value["error"] is None


def test_a_failed_edit_has_an_error_and_no_score() -> None:
    value = item(failed(message="too large"))
    assert value["overall"] is value["raw"] is value["edit"] is None
    assert value["error"] == {
        "state": "edit_failed",
        "type": "OutOfMemory",
        "message": "too large",
        "attempts": 2,
    }


def test_a_reply_at_fault_is_kept_with_the_reason() -> None:
    value = item(unparsable(raw="I would say seven"))
    assert value["state"] == "unparsable" and value["overall"] is None
    assert value["raw"] == "I would say seven"
    assert value["error"]["message"] == "no JSON in the reply"


def test_chinese_stays_readable() -> None:
    assert "把杯子变红" in to_line(scored(5, instruction="把杯子变红"))


def test_numbers_that_json_does_not_have_become_null() -> None:
    extra = {"a": math.nan, "b": [math.inf, 1.0], "c": {"d": -math.inf}}
    pair = Pair("p", "c", "i", (), extra=extra)
    value = item(Outcome(pair, Verdict("out_of_range", {"follows": math.inf})))
    assert value["extra"] == {"a": None, "b": [None, 1.0], "c": {"d": None}}
    assert value["criteria"] == {"follows": None}


@given(texts, texts)
def test_any_text_stays_on_one_line_and_comes_back(reply: str, instruction: str) -> None:
    line = to_line(unparsable(raw=reply, instruction=instruction))
    assert "\n" not in line and "\r" not in line
    value = json.loads(line.encode())
    assert (value["raw"], value["instruction"]) == (reply, instruction)


def test_no_file_is_no_lines(tmp_path: Path) -> None:
    assert list(read_lines(tmp_path / "items.jsonl")) == []


@given(st.lists(texts, min_size=1, max_size=4), st.data())
def test_a_file_cut_off_anywhere_keeps_its_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, replies: list[str], data: st.DataObject
) -> None:
    values = [{"raw": reply} for reply in replies]
    whole = b"".join(dump(value).encode() + b"\n" for value in values)
    cut = data.draw(st.integers(0, len(whole)))
    path = tmp_path_factory.mktemp("cut") / "items.jsonl"
    path.write_bytes(whole[:cut])
    found = list(read_lines(path))
    assert found == values[: len(found)]
    assert len(found) >= whole[:cut].count(b"\n")


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"id": "a"}\n{"id": \n{"id": "c"}\n')
    with pytest.raises(ResultError, match="line 2 is damaged"):
        list(read_lines(path))


def test_a_line_that_is_no_object_is_named(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text("[1]\n")
    with pytest.raises(ResultError, match="line 1 is not an object"):
        list(read_lines(path))
