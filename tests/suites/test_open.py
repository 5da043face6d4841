from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from editbench.errors import SuiteError
from editbench.suites.open import open_suite
from tests.suites.builders import five_item, row, write_rows


def test_a_suite_is_found_by_name_file_or_folder(tmp_path: Path) -> None:
    write_rows(tmp_path / "pairs.jsonl", [row()])
    (tmp_path / "five.json").write_text(json.dumps([five_item()]), encoding="utf-8")
    (tmp_path / "t.csv").write_text("id,category,instruction,source\n1,c,i,s\n")
    assert open_suite("demo").name == "demo"
    for path, id in (
        (tmp_path, "p0"),
        (tmp_path / "pairs.jsonl", "p0"),
        (tmp_path / "five.json", "00000_x"),
        (tmp_path / "t.csv", "1"),
    ):
        assert open_suite(str(path))[0].id == id


def test_the_language_reaches_the_suite(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "x.jsonl", [row(instruction_zh="改")])
    assert open_suite(str(path), language="zh")[0].instruction == "改"
    assert open_suite("demo", language="zh")[0].category == "物理"


def test_an_unknown_path_is_answered_with_near_ones(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "pairs.jsonl", [row()])
    with pytest.raises(SuiteError, match="there is no suite") as caught:
        open_suite(str(tmp_path / "pair.jsonl"))
    assert f"did you mean {path}" in str(caught.value)
    with pytest.raises(SuiteError, match="nor a folder"):
        open_suite(str(tmp_path / "gone" / "pairs.jsonl"))
    with pytest.raises(SuiteError, match="did you mean demo"):
        open_suite("dmeo")


def test_a_folder_without_a_table_or_with_two_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pair.csv").write_text("")
    with pytest.raises(SuiteError, match=r"neither .*did you mean .*pair\.csv"):
        open_suite(str(tmp_path))
    write_rows(tmp_path / "pairs.jsonl", [row()])
    (tmp_path / "pairs.csv").write_text("")
    with pytest.raises(SuiteError, match="has both"):
        open_suite(str(tmp_path))


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "suite.parquet").write_bytes(b"PAR1")
    with pytest.raises(SuiteError, match=r"\.parquet is no format") as caught:
        open_suite(str(tmp_path / "suite.parquet"))
    assert caught.value.hint == "known are .json, .jsonl and .csv"


def offer(folder: Path, package: str, target: str) -> None:
    """Install, as far as entry points go, a package that offers the suite ``mine``."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[editbench.suites]\nmine = {target}\n")


def test_a_package_may_offer_a_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "offered_suite.py").write_text(
        "from editbench.suites.demo import DemoSuite\n"
        "def make(*, language):\n    return DemoSuite(language=language)\n"
    )
    offer(tmp_path, "offers-a-suite", "offered_suite:make")
    monkeypatch.delitem(sys.modules, "offered_suite", raising=False)
    assert open_suite("mine", language="zh")[0].category == "物理"
    with pytest.raises(SuiteError, match="did you mean mine"):
        open_suite("nine")


def test_a_suite_that_cannot_be_loaded_names_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    offer(tmp_path, "broken-suite", "no_such_module:make")
    with pytest.raises(SuiteError, match="mine of broken-suite cannot be loaded"):
        open_suite("mine")


def test_two_packages_with_one_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    offer(tmp_path, "one-suite", "a:b")
    offer(tmp_path, "other-suite", "a:b")
    with pytest.raises(SuiteError, match="one-suite and other-suite"):
        open_suite("mine")
