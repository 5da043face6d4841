from __future__ import annotations

import base64
import json
import threading
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL.Image import Image

from editbench.engine.keys import pixel_hash
from editbench.errors import SuiteError
from editbench.records import Facts, Pair, Picture
from editbench.suites.check import check
from editbench.suites.demo import DemoSuite
from editbench.suites.look import Suite
from editbench.suites.open import open_suite
from tests.suites.builders import bomb, encode, five_item, noise, picture, row, shared, write_rows

TRUNCATED = encode(noise(64, 64))[:3000]


class Remembered(dict[str, str]):
    """What is known of encoded images."""

    def recall(self, names: Sequence[str]) -> dict[str, str]:
        return {name: self[name] for name in names if name in self}

    def remember(self, name: str, text: str) -> None:
        self[name] = text


def inspect(suite: Suite, **settings: Any) -> list[Facts | str]:
    """Return the facts of all pairs, which must come in the suite's order."""
    settings = {"digest": pixel_hash, "memo": Remembered()} | settings
    found = list(check(suite, **settings))
    assert [pair for pair, _ in found] == [suite[index] for index in range(len(suite))]
    return [facts for _, facts in found]


def problems(suite: Suite, **settings: Any) -> SuiteError:
    with pytest.raises(SuiteError) as caught:
        inspect(suite, **settings)
    return caught.value


def test_a_sound_suite_yields_its_pairs_and_their_facts() -> None:
    seen: list[tuple[int, int]] = []
    suite = DemoSuite()
    found = inspect(suite, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 36) for done in range(1, 37)]
    first = found[0]
    assert isinstance(first, Facts) and first.sizes == ((256, 192),)
    assert len({fact.pixels for fact in found if isinstance(fact, Facts)}) == 36


def seven_faults_json(folder: Path) -> tuple[Path, list[str]]:
    def inlined(data: bytes) -> str:
        return base64.b64encode(data).decode()

    items = [
        five_item(0),
        five_item(1, edit_instruction_en=""),
        five_item(2, subset=None),
        five_item(3, src_img_b64=None),
        five_item(4, original_image_path="made/00000_x.png"),
        five_item(5, src_img_b64=inlined(TRUNCATED)),
        five_item(6, src_img_b64=inlined(bomb())),
        five_item(7, difficulty="BROKEN"),
        five_item(8),
    ]
    path = folder / "five.json"
    path.write_text(json.dumps(items).replace('"BROKEN"', "broken"), encoding="utf-8")
    return path, [
        "five.json item 2 (00001_x): edit_instruction_en is empty",
        "five.json item 3 (00002_x): no subset",
        "five.json item 4 (00003_x): no src_img_b64",
        "five.json item 5 (00000_x): the id '00000_x' is taken by five.json item 1 (00000_x)",
        "five.json item 6 (00005_x): the PNG image is damaged or cut short",
        "five.json item 7 (00006_x): the image has 60000x60000 pixels",
        "five.json item 8: not JSON: Expecting value at byte",
    ]


def seven_faults_jsonl(folder: Path) -> tuple[Path, list[str]]:
    (folder / "cut.png").write_bytes(TRUNCATED)
    (folder / "bomb.png").write_bytes(bomb())
    rows: list[dict[str, Any] | str] = [
        row(0),
        row(1, instruction=""),
        row(2, category=None),
        row(3, source="gone.png"),
        row(0),
        row(5, source="cut.png"),
        row(6, source="bomb.png"),
        '{"id": ',
        row(8),
    ]
    return write_rows(folder / "rows.jsonl", rows), [
        "rows.jsonl:2: instruction is empty",
        "rows.jsonl:3: no category",
        "rows.jsonl:4: there is no file",
        "rows.jsonl:5: the id 'p0' is taken by rows.jsonl:1",
        "rows.jsonl:6: the PNG image is damaged or cut short",
        "rows.jsonl:7: the image has 60000x60000 pixels",
        "rows.jsonl:8: not JSON: Expecting value",
    ]


def seven_faults_csv(folder: Path) -> tuple[Path, list[str]]:
    write_rows(folder / "unused.jsonl", [])
    (folder / "cut.png").write_bytes(TRUNCATED)
    (folder / "bomb.png").write_bytes(bomb())
    lines = [
        "id,category,instruction,source",
        'p0,c,"two\nlines",red.png',
        "p1,c,,red.png",
        "p2,,i,red.png",
        "p3,c,i,gone.png",
        "p0,c,i,red.png",
        "p5,c,i,cut.png",
        "p6,c,i,bomb.png",
        'p7,c,"i"i,red.png',
        "p8,c,i,red.png",
    ]
    path = folder / "rows.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path, [
        "rows.csv:4: instruction is empty",
        "rows.csv:5: category is empty",
        "rows.csv:6: there is no file",
        "rows.csv:7: the id 'p0' is taken by rows.csv:2",
        "rows.csv:8: the PNG image is damaged or cut short",
        "rows.csv:9: the image has 60000x60000 pixels",
        "rows.csv:10: not CSV: ',' expected",
    ]


@pytest.mark.parametrize("build", [seven_faults_json, seven_faults_jsonl, seven_faults_csv])
def test_seven_different_faults_are_all_listed_with_their_places(
    tmp_path: Path, build: Callable[[Path], tuple[Path, list[str]]]
) -> None:
    path, expected = build(tmp_path)
    error = problems(open_suite(str(path)))
    assert str(error) == f"{path.name} has 7 problems"
    assert error.hint == ""
    assert len(error.problems) == 7
    for problem, start in zip(error.problems, expected, strict=True):
        assert problem.startswith(start)


def test_all_faults_of_one_pair_are_listed(tmp_path: Path) -> None:
    rows = [row(0), row(0, instruction="", category=None, source=["gone.png", "red.png", "no.png"])]
    found = problems(open_suite(str(write_rows(tmp_path / "x.jsonl", rows)))).problems
    assert len(found) == 4
    assert all(problem.startswith("x.jsonl:2: ") for problem in found)
    assert "gone.png" in found[3] and "no.png" in found[3]


def test_unreadable_images_can_be_skipped_and_the_hint_says_so(tmp_path: Path) -> None:
    rows = [row(0), row(1, source="gone.png"), row(2)]
    suite = open_suite(str(write_rows(tmp_path / "x.jsonl", rows)))
    error = problems(suite)
    assert str(error) == "x.jsonl has 1 problem"
    assert "--skip-bad" in error.hint
    good, bad, other = inspect(suite, skip_bad=True)
    assert isinstance(bad, str) and "there is no file" in bad
    assert isinstance(good, Facts) and good == other


def test_skipping_does_not_hide_other_faults(tmp_path: Path) -> None:
    rows = [row(0, source="gone.png"), row(1, instruction="")]
    error = problems(open_suite(str(write_rows(tmp_path / "x.jsonl", rows))), skip_bad=True)
    assert error.problems == ("x.jsonl:2: instruction is empty",)


def test_pairs_are_handed_on_until_the_first_problem(tmp_path: Path) -> None:
    rows = [row(0), row(1, source="gone.png"), row(2)]
    suite = open_suite(str(write_rows(tmp_path / "x.jsonl", rows)))
    handed: list[str] = []
    with pytest.raises(SuiteError):
        handed.extend(pair.id for pair, _ in check(suite, digest=pixel_hash, memo=Remembered()))
    assert handed == ["p0"]


def test_an_empty_suite_is_a_fault(tmp_path: Path) -> None:
    assert "no pairs" in str(problems(open_suite(str(write_rows(tmp_path / "x.jsonl", [""])))))


def test_what_is_known_of_an_image_is_not_decoded_again(tmp_path: Path) -> None:
    suite = open_suite(str(write_rows(tmp_path / "x.jsonl", [row(0)])))
    memo = Remembered()
    digested: list[Image] = []

    def digest(image: Image) -> str:
        digested.append(image)
        return pixel_hash(image)

    first = inspect(suite, digest=digest, memo=memo)
    again = inspect(suite, digest=digest, memo=memo)
    assert len(digested) == 1 and first == again
    ((key, known),) = memo.items()
    assert key.startswith("s:") and len(key) == 66
    fact = first[0]
    assert isinstance(fact, Facts)
    assert json.loads(known) == {"pixels": fact.pixels[0], "width": 8, "height": 6}


def test_a_changed_image_is_not_mistaken_for_the_known_one(tmp_path: Path) -> None:
    suite = open_suite(str(write_rows(tmp_path / "x.jsonl", [row(0)])))
    memo = Remembered()
    before = inspect(suite, memo=memo)
    (tmp_path / "red.png").write_bytes(picture(color="blue"))
    assert inspect(suite, memo=memo) != before


class Foreign:
    """A suite that shows nothing of its faults, as a package may offer."""

    name = "foreign"

    def __init__(self, *pairs: Pair | None) -> None:
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Pair:
        pair = self._pairs[index]
        if pair is None:
            raise SuiteError("the row is gone")
        return pair

    def read(self, picture: Picture) -> bytes:
        raise SuiteError(f"cannot fetch {picture.path}")


def test_a_foreign_suite_is_held_to_the_same_rules() -> None:
    sound = Pair("a", "c", "i", (Picture("x"),))
    suite = Foreign(sound, None, Pair("b", "", " ", ()), sound)
    assert problems(suite).problems == (
        "foreign item 1 (a): cannot fetch x",
        "foreign item 2: the row is gone",
        "foreign item 3 (b): no category",
        "foreign item 3 (b): no instruction",
        "foreign item 3 (b): no source image",
        "foreign item 4 (a): the id 'a' is taken by foreign item 1 (a)",
        "foreign item 4 (a): cannot fetch x",
    )


class Large:
    """Pairs that each have their own image, three megabytes large once decoded."""

    name = "large"

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> Pair:
        index = range(24)[index]
        return Pair(f"{index}", "c", "i", (Picture(f"{index}"),))

    def read(self, where: Picture) -> bytes:
        return picture(1000, 1000 + int(where.path))


def test_only_a_few_images_are_in_memory_at_a_time() -> None:
    live, most, lock = 0, 0, threading.Lock()

    def digest(image: Image) -> str:
        nonlocal live, most
        with lock:
            live += 1
            most = max(most, live)
        pixels = pixel_hash(image)  # holds a copy of the pixels that tracemalloc counts
        with lock:
            live -= 1
        return pixels

    tracemalloc.start()
    try:
        assert len(inspect(Large(), digest=digest)) == 24
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most <= 2
    assert peak < 8 * 3_000_000


def test_an_error_of_the_digest_stops_the_check() -> None:
    def digest(image: Image) -> str:
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        inspect(DemoSuite(), digest=digest)


def test_the_real_suites_are_sound() -> None:
    for name, pairs in (("edits", 3), ("seed_format/ten_pairs.json", 10)):
        found = inspect(open_suite(str(shared(name))))
        assert len(found) == pairs
