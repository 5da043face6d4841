from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editbench.suites import json_items
from editbench.suites.json_items import Item, UnknownShape, scan

FIELD = "image"


def found(text: bytes) -> list[Item]:
    return list(scan(io.BytesIO(text), field=FIELD))


def parsed(text: bytes) -> list[Any]:
    """Parse each item by itself, with and without its text cut out."""
    values = []
    for item in found(text):
        assert not item.fault
        value = json.loads(text[item.start : item.end])
        if item.text_start >= 0:
            inner = text[item.text_start : item.text_end]
            assert json.loads(b'"' + inner + b'"') == value[FIELD]
            rest = text[item.start : item.text_start] + text[item.text_end : item.end]
            assert json.loads(rest) == value | {FIELD: ""}
        values.append(value)
    return values


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6) | st.just(FIELD), inner, max_size=3)
    ),
    max_leaves=8,
)
items = trees | st.dictionaries(
    st.text(max_size=6) | st.just(FIELD), st.text(max_size=60) | trees, max_size=4
)


@settings(deadline=None)
@given(
    values=st.lists(items, max_size=6),
    indent=st.sampled_from([None, 0, 2]),
    plain=st.booleans(),
    bom=st.booleans(),
    chunk=st.integers(4, 40),
)
def test_the_items_found_are_those_that_a_parser_finds(
    values: list[Any], indent: int | None, plain: bool, bom: bool, chunk: int
) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=plain).encode("utf-8", "surrogatepass")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_items, "_CHUNK", chunk)
        assert parsed(bom * b"\xef\xbb\xbf" + text) == values


@given(groups=st.dictionaries(st.text(max_size=8), st.lists(items, max_size=3), max_size=4))
def test_the_items_of_an_object_of_lists_know_their_key(groups: dict[str, list[Any]]) -> None:
    text = json.dumps(groups).encode()
    back: dict[str, list[Any]] = {}
    for item, value in zip(found(text), parsed(text), strict=True):
        back.setdefault(item.group, []).append(value)
    assert back == {key: values for key, values in groups.items() if values}


@pytest.mark.parametrize("value", [{FIELD: 1}, {FIELD: None}, {"a": {FIELD: "x"}}, {"a": FIELD}])
def test_only_a_text_directly_in_the_item_counts_as_the_field(value: object) -> None:
    assert found(json.dumps([value]).encode())[0].text_start == -1


@pytest.mark.parametrize("slashes", range(9))
@pytest.mark.parametrize("chunk", range(3, 24))
def test_backslashes_before_a_quote_are_counted_across_chunks(
    slashes: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_items, "_CHUNK", chunk)
    value = [{FIELD: "\\" * slashes + '"]},{[' + "\\" * slashes}, {"k\\": 2}]
    assert parsed(json.dumps(value).encode()) == value


@pytest.mark.parametrize("text", [b"", b"  ", b"3", b'"text"', b"nul", b'{"a": 1}', b'{"a": {}}'])
def test_other_shapes_are_refused(text: bytes) -> None:
    with pytest.raises(UnknownShape):
        found(text)


def texts(text: bytes) -> list[bytes]:
    return [text[item.start : item.end].strip() or item.fault.encode() for item in found(text)]


@pytest.mark.parametrize(
    "damaged",
    [
        b'{"a": 1, }',  # a comma too many
        b'{"a": tru}',
        b'{"a" 1}',
        b'{"a": [1}',  # an open bracket
        b'{"a": 1',  # an open brace
        b'{"a": {"b": 1}',
        b'{"a: 1}',  # an open quote
        b'{"a": "x}',
        b"17",
        b"[1, 2]",
        b"",
    ],
)
def test_damage_stays_in_its_item(damaged: bytes) -> None:
    good = b'{"image": "AAAA"}'
    items = texts(b"[\n" + good + b",\n" + damaged + b",\n" + good + b",\n" + good + b"\n]")
    assert items[0] == items[-1] == good
    assert items.count(good) == 3
    assert len(items) == 4


@pytest.mark.parametrize("cut", [b"", b",", b', {"a', b', {"a": 1', b', {"a": "', b', {"a": 1}'])
def test_a_file_that_is_cut_short_says_so(cut: bytes) -> None:
    for opening in (b"[", b'{"x": ['):
        items = texts(opening + b'{"b": 1}' + cut)
        assert items[0] == b'{"b": 1}'
        assert items[-1] == b"the file ends too early"


def test_a_missing_brace_at_the_end_of_the_groups_is_a_cut() -> None:
    assert texts(b'{"x": [1]') == [b"1", b"the file ends too early"]


def test_text_after_the_list_is_a_fault() -> None:
    assert texts(b"[1] [2]")[1] == b"the list is over here, but the file goes on"


def test_a_comma_before_the_end_of_the_list_is_an_empty_item() -> None:
    assert [item.fault for item in found(b"[1, ]")] == ["", ""]
    assert texts(b"[1, ]") == [b"1", b""]
