from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from editbench.errors import SuiteError
from editbench.suites.table import TableSuite
from tests.suites.builders import pairs, picture, row, shared, write_rows


def table(tmp_path: Path, *rows: dict[str, Any] | str, **settings: Any) -> TableSuite:
    return TableSuite(write_rows(tmp_path / "pairs.jsonl", rows), **settings)


def written(tmp_path: Path, text: str | bytes, **settings: Any) -> TableSuite:
    path = tmp_path / "pairs.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return TableSuite(path, **settings)


def test_a_row_of_json_is_a_pair(tmp_path: Path) -> None:
    suite = table(tmp_path, row(0, description="red", tags=["x"], id=7))
    (pair,) = pairs(suite)
    assert (pair.id, pair.category, pair.instruction) == ("7", "color", "make it blue")
    assert (pair.description, pair.extra) == ("red", {"tags": ["x"]})
    assert suite.read(pair.sources[0]) == picture()


def test_a_row_of_csv_is_a_pair(tmp_path: Path) -> None:
    text = "id,category,instruction,source,note\r\n"
    text += '7,color,"make it ""blue"",\r\nall of it",red.png,n\r\n'
    (pair,) = pairs(written(tmp_path, text))
    assert (pair.id, pair.extra) == ("7", {"note": "n"})
    assert pair.instruction == 'make it "blue",\r\nall of it'
    assert pair.sources[0].path == str(tmp_path / "red.png")


@pytest.mark.parametrize(
    ("columns", "en", "zh"),
    [
        ({"instruction": "a"}, "a", "a"),
        ({"instruction": "a", "instruction_cn": "c"}, "a", "c"),
        ({"instruction": "a", "instruction_zh": "z", "instruction_cn": "c"}, "a", "z"),
        ({"instruction": "a", "instruction_en": "e", "instruction_zh": "z"}, "e", "z"),
    ],
)
def test_the_column_of_the_language_comes_before_the_plain_one(
    tmp_path: Path, columns: dict[str, str], en: str, zh: str
) -> None:
    line = row(instruction=None) | columns
    assert table(tmp_path, line, language="en")[0].instruction == en
    assert table(tmp_path, line, language="zh")[0].instruction == zh


@pytest.mark.parametrize("name", ["source", "sources", "image", "source_image"])
@pytest.mark.parametrize("value", ["a/b.png", ["a/b.png", "c.png"]])
def test_sources_have_several_names_and_may_be_several(
    tmp_path: Path, name: str, value: str | list[str]
) -> None:
    pair = table(tmp_path, row(source=None) | {name: value})[0]
    paths = [value] if isinstance(value, str) else value
    assert [source.path for source in pair.sources] == [str(tmp_path / path) for path in paths]
    assert name not in pair.extra


def test_a_cell_of_csv_may_name_several_sources(tmp_path: Path) -> None:
    suite = written(tmp_path, "id,category,instruction,sources\n1,c,i,a.png | b.png\n")
    assert [Path(source.path).name for source in suite[0].sources] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (row(id=None), "no id"),
        (row(id=""), "id is empty"),
        (row(id=True), "id must be a text, got True"),
        (row(category=None), "no category"),
        (row(instruction=" "), "instruction is empty"),
        (row(source=None), "no source or sources or image or source_image"),
        (row(source=[]), "source is empty"),
        (row(source=["a", ""]), "source is empty"),
        (row(source=3), "source must be a text or a list of texts, got 3"),
        ("[1]", "expected an object with fields, got a list"),
        ('{"id": x', "not JSON: Expecting value at column 8"),
        ("[" * 100_000, "not JSON that can be read: nested too deep"),
    ],
)
def test_a_fault_of_a_json_row_names_the_line(
    tmp_path: Path, line: dict[str, Any] | str, fault: str
) -> None:
    suite = table(tmp_path, row(0), "", line, row(2))
    assert len(suite) == 3
    look = suite.look(1)
    assert (look.place, look.faults) == ("pairs.jsonl:3", (fault,))
    assert suite[2].id == "p2"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (",c,i,s", "id is empty"),
        ("1,c,,s", "instruction is empty"),
        ("1,c,i", "3 cells, but 4 columns"),
        ("1,c,i,s,x", "5 cells, but 4 columns"),
        ('1,c,"i"x,s', "not CSV: ',' expected after '\"'"),
    ],
)
def test_a_fault_of_a_csv_row_names_the_line(tmp_path: Path, line: str, fault: str) -> None:
    head = 'id,category,instruction,source\n0,c,"two\nlines",s\n\n'
    suite = written(tmp_path, head + line + "\n2,c,i,s\n")
    assert len(suite) == 3
    look = suite.look(1)
    assert (look.place, look.faults) == ("pairs.csv:5", (fault,))
    assert suite[2].id == "2"


def test_an_unclosed_quote_is_a_fault_even_where_it_swallows_rows(tmp_path: Path) -> None:
    suite = written(tmp_path, 'id,category,instruction,source\n1,c,"i,s\n2,c,i,s\n')
    assert suite.look(0).faults == ("not CSV: unexpected end of data",)


def test_a_byte_order_mark_is_not_part_of_the_first_column(tmp_path: Path) -> None:
    suite = written(tmp_path, "\ufeffid,category,instruction,source\n1,c,颜色,s\n")
    assert (suite[0].id, suite[0].instruction) == ("1", "颜色")
    path = tmp_path / "bom.jsonl"
    path.write_text("\ufeff" + json.dumps(row(3)), encoding="utf-8")
    assert TableSuite(path)[0].id == "p3"


def test_carriage_returns_alone_end_no_row_and_lose_none(tmp_path: Path) -> None:
    suite = written(tmp_path, "id,category,instruction,source\n1,c,i,s\r2,c,i,s\n3,c,i,s\n")
    assert suite.look(0).faults[0].startswith("not CSV: new-line character")
    assert suite[1].id == "3"


def test_text_that_is_not_utf8_is_a_fault_of_its_row(tmp_path: Path) -> None:
    suite = written(tmp_path, b"id,category,instruction,source\n1,c,\xff,s\n2,c,i,s\n")
    assert suite.look(0).faults == ("not UTF-8: invalid start byte at byte 4 of the row",)
    assert suite[1].id == "2"


def test_every_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(SuiteError) as caught:
        written(tmp_path, "id,instruction,note,note\n")
    assert caught.value.problems == (
        "pairs.csv:1: no column category",
        "pairs.csv:1: no column source or sources or image or source_image",
        "pairs.csv:1: two columns 'note'",
    )
    with pytest.raises(SuiteError, match="not even column names"):
        written(tmp_path, "")


def test_a_missing_image_is_an_error_on_reading(tmp_path: Path) -> None:
    suite = table(tmp_path, row(source="gone.png"), row(source="."), row(source="a\0b"))
    for pair, said in zip(
        pairs(suite), ("there is no file", "cannot read", "cannot be"), strict=True
    ):
        with pytest.raises(SuiteError, match=said):
            suite.read(pair.sources[0])


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=20)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(cells, cells), max_size=6),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_what_csv_writes_is_read_back(
    tmp_path: Path, rows: list[tuple[str, str]], end: str, quoting: Any
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator=end, quoting=quoting)
    writer.writerow(["id", "category", "instruction", "source", "one", "two"])
    for number, pair in enumerate(rows):
        writer.writerow([f"{number}", "c", "i", "s", *pair])
    suite = written(tmp_path, file.getvalue())
    assert [(pair.extra["one"], pair.extra["two"]) for pair in pairs(suite)] == rows


def test_the_real_table_has_both_languages() -> None:
    path = shared("edits/pairs.jsonl")
    raw = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    english, chinese = TableSuite(path), TableSuite(path, language="zh")
    assert [pair.instruction for pair in pairs(english)] == [line["instruction"] for line in raw]
    assert [pair.instruction for pair in pairs(chinese)] == [line["instruction_cn"] for line in raw]
    assert all(chinese.read(pair.sources[0]) for pair in pairs(chinese))
