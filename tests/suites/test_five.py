from __future__ import annotations

import base64
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from editbench.errors import SuiteError
from editbench.suites.five import FiveSuite
from editbench.suites.images import decode
from tests.suites.builders import encode, five_item, noise, pairs, picture, shared


def suite(tmp_path: Path, content: Any, **settings: Any) -> FiveSuite:
    path = tmp_path / "five.json"
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    return FiveSuite(path, **settings)


def test_a_pair_has_the_texts_of_the_wanted_language(tmp_path: Path) -> None:
    english, chinese = (suite(tmp_path, [five_item()], language=language)[0] for language in LANGS)
    assert (english.instruction, english.description) == ("make it blue", "a red picture")
    assert (chinese.instruction, chinese.description) == ("改成蓝色", "红色")
    assert english.category == chinese.category == "物理"
    assert english.id == chinese.id == "00000_x"
    assert english.extra == {
        "original_description": "红色",
        "edit_instruction": "改成蓝色",
        "difficulty": "easy",
        "original_image_path": "made/00000_x.png",
    }


LANGS: tuple[Any, ...] = ("en", "zh")


def test_the_image_is_found_and_kept_out_of_the_pair(tmp_path: Path) -> None:
    five = suite(tmp_path, [five_item(0), five_item(1)])
    for number, pair in enumerate(pairs(five)):
        assert "src_img_b64" not in pair.extra
        (source,) = pair.sources
        assert five.read(source) == picture(8 + number)


@pytest.mark.parametrize(
    "write",
    [
        lambda text: text,
        lambda text: "data:image/png;base64," + text,
        lambda text: ("data:image/png;base64," + text).replace("/", "\\/"),
        lambda text: text.replace("/", "\\u002f"),
        lambda text: "\\n".join(text[at : at + 76] for at in range(0, len(text), 76)),
    ],
)
def test_base64_is_read_in_every_usual_writing(tmp_path: Path, write: Any) -> None:
    data = encode(noise(20, 20))
    text = base64.b64encode(data).decode()
    assert "/" in text
    items = json.dumps([five_item(src_img_b64="HERE")]).replace("HERE", write(text))
    five = suite(tmp_path, items)
    assert five.read(five[0].sources[0]) == data


def test_texts_may_hold_quotes_brackets_and_escapes(tmp_path: Path) -> None:
    said = 'put "}]" on it \\ and 一 "src_img_b64": "x"'
    for text in (
        json.dumps([five_item(edit_instruction_en=said)]),
        json.dumps([five_item(edit_instruction_en=said)], ensure_ascii=False, indent=1),
        "\ufeff" + json.dumps([five_item(edit_instruction_en=said)]),
    ):
        assert suite(tmp_path, text)[0].instruction == said


def test_an_object_of_lists_gives_its_keys_as_categories(tmp_path: Path) -> None:
    items = {
        "社会": [five_item(0, subset=None)],
        "empty": [],
        "因果": [five_item(1, subset=None), five_item(2, subset="指代")],
    }
    assert [pair.category for pair in pairs(suite(tmp_path, items))] == ["社会", "因果", "指代"]


@pytest.mark.parametrize(
    ("path", "id"),
    [
        ("a/b/7_x.png", "7_x"),
        ("a\\b\\7.jpg", "7"),
        ("", "物理_0"),
        (None, "物理_0"),
    ],
)
def test_the_id_is_the_stem_of_the_path_or_the_position(
    tmp_path: Path, path: str | None, id: str
) -> None:
    assert suite(tmp_path, [five_item(original_image_path=path)])[0].id == id


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"edit_instruction_en": " "}, "edit_instruction_en is empty"),
        ({"edit_instruction_en": None}, "no edit_instruction_en"),
        ({"edit_instruction_en": ["a"]}, "edit_instruction_en must be a text, got ['a']"),
        ({"subset": None}, "no subset"),
        ({"subset": ""}, "subset is empty"),
        ({"src_img_b64": None}, "no src_img_b64"),
        ({"src_img_b64": ""}, "src_img_b64 is empty"),
        ({"src_img_b64": 5}, "no src_img_b64"),
    ],
)
def test_a_fault_names_the_field_and_the_item(
    tmp_path: Path, changes: dict[str, Any], fault: str
) -> None:
    five = suite(tmp_path, [five_item(0), five_item(1, **changes)])
    with pytest.raises(SuiteError) as caught:
        five[1]
    assert caught.value.problems == (f"five.json item 2 (00001_x): {fault}",)
    assert five[0].id == "00000_x"


def test_a_text_that_is_null_is_missing(tmp_path: Path) -> None:
    items = [five_item() | {"edit_instruction_en": None}]
    assert suite(tmp_path, items).look(0).faults == ("no edit_instruction_en",)


def test_bad_base64_is_an_error_on_reading(tmp_path: Path) -> None:
    for bad in ("AAA", "AA!A", "图图"):
        five = suite(tmp_path, [five_item(src_img_b64=bad)])
        with pytest.raises(SuiteError, match="not base64"):
            five.read(five[0].sources[0])


def test_a_syntax_error_names_its_byte(tmp_path: Path) -> None:
    text = json.dumps([five_item(), five_item(1)], ensure_ascii=False)
    at = text.rindex('"easy"')
    five = suite(tmp_path, text[:at] + "easy" + text[at + 6 :])
    assert five.look(0).faults == ()
    byte = len(text[:at].encode())
    assert five.look(1).faults == (f"not JSON: Expecting value at byte {byte}",)


def test_items_that_are_no_objects_are_faults(tmp_path: Path) -> None:
    five = suite(tmp_path, json.dumps([five_item(), 3, ["x"]])[:-1] + ", ]")
    faults = [five.look(index).faults for index in range(1, 4)]
    assert faults[0] == ("expected an object with fields, got a int",)
    assert faults[1] == ("expected an object with fields, got a list",)
    assert faults[2][0].startswith("not JSON: Expecting value")


def test_a_lost_bracket_does_not_make_a_giant_of_an_item(tmp_path: Path) -> None:
    items = json.dumps([five_item(), five_item(1, src_img_b64="A" * (1 << 25))])
    five = suite(tmp_path, items.replace('"src_img_b64": "AAA', '"other": "AAA'))
    assert five.look(1).faults == ("the item does not end: a quote or a bracket is missing",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "none of the shapes"),
        ("17", "none of the shapes"),
        ('{"version": 1, "pairs": []}', "none of the shapes"),
        ('[{"prompt": "x", "file": "y"}]', "have prompt, file"),
    ],
)
def test_a_strange_shape_is_refused_with_the_known_ones(
    tmp_path: Path, content: str, said: str
) -> None:
    with pytest.raises(SuiteError, match=said) as caught:
        suite(tmp_path, content)
    assert "{category: [items]}" in caught.value.hint


def test_a_file_that_shrinks_later_is_an_error_not_a_short_image(tmp_path: Path) -> None:
    five = suite(tmp_path, [five_item()])
    (source,) = five[0].sources
    (tmp_path / "five.json").write_text("[]")
    with pytest.raises(SuiteError, match="has changed"):
        five.read(source)


def test_indices_behave_like_those_of_a_list(tmp_path: Path) -> None:
    five = suite(tmp_path, [five_item(0), five_item(1)])
    assert five[-1].id == "00001_x"
    with pytest.raises(IndexError):
        five[2]


def test_opening_and_reading_hold_a_few_pairs_at_most(tmp_path: Path) -> None:
    path = tmp_path / "five.json"
    image = base64.b64encode(bytes(1_500_000)).decode()  # 2 MB of text
    with path.open("w", encoding="utf-8") as file:
        for number in range(30):
            item = json.dumps(five_item(number, src_img_b64=image))
            file.write(("[" if number == 0 else ",") + item)
        file.write("]")
    tracemalloc.start()
    try:
        five = FiveSuite(path)
        assert len({pair.id for pair in pairs(five)}) == len(five) == 30
        assert len(five.read(five[29].sources[0])) == 1_500_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * len(image)


def test_the_real_file_has_ten_pairs_in_five_categories() -> None:
    path = shared("seed_format/ten_pairs.json")
    raw = json.loads(path.read_text(encoding="utf-8"))
    for language, suffix in (("en", "_en"), ("zh", "")):
        five = FiveSuite(path, language="en" if language == "en" else "zh")
        assert len(five) == 10
        for pair, item in zip(pairs(five), raw, strict=True):
            assert pair.instruction == item["edit_instruction" + suffix]
            assert pair.description == item["original_description" + suffix]
            assert pair.id == Path(item["original_image_path"]).stem
            data = five.read(pair.sources[0])
            assert data == base64.b64decode(item["src_img_b64"])
    assert decode(data).mode == "RGB"
