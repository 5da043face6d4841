from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from editbench import api
from editbench.errors import ConfigError, MachineError, ResultError
from editbench.report.result import RunResult
from tests.report import pages
from tests.report.models import HARM, REPLY


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunResult]:
    return pages.runs(tmp_path_factory.mktemp("runs"), 12)


@pytest.fixture(scope="module")
def page(runs: list[RunResult]) -> str:
    return api.write_report(runs[0]).read_text(encoding="utf-8")


class Elements(HTMLParser):
    """What a browser would make of a page: elements with their attributes, and script texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data

    def data(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.scripts[0])
        return value


def test_a_page_names_nothing_outside_itself(page: str) -> None:
    elements = Elements(page)
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"img", "link", "iframe", "object", "base"}
    for _, attributes in elements.found:
        assert "src" not in attributes and "style" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)
    policy = next(a["content"] for t, a in elements.found if t == "meta" and "http-equiv" in a)
    assert policy and policy.startswith("default-src 'none';") and "unsafe" not in policy
    assert "img-src data:;" in policy


def test_hostile_text_adds_no_element_and_arrives_word_for_word(page: str) -> None:
    elements = Elements(page)
    assert [tag for tag, _ in elements.found].count("script") == 3
    told = {pair["id"]: pair for pair in elements.data()["pairs"]}
    assert told[f"harm-{HARM}"]["instruction"] == HARM
    assert told["harm-reason"]["runs"][0]["reason"] == HARM
    assert told["harm-raw"]["runs"][0]["raw"] == REPLY


def test_every_pair_is_there_worst_first_with_its_pictures(page: str) -> None:
    elements = Elements(page)
    told = elements.data()["pairs"]
    assert len(told) == 12 + 6 + 1 + 1
    scores = [pair["runs"][0]["score"] for pair in told]
    known = [score for score in scores if score is not None]
    assert known == sorted(known) and scores == known + [None] * (len(scores) - len(known))
    lines = elements.scripts[2].split()
    for pair in told:
        assert 0 <= pair["before"] < len(lines)
        assert (pair["runs"][0]["after"] is None) == (pair["id"] in ("no-edit", "refused"))
    assert len(set(lines)) == len(lines)


def test_the_page_counts_failures_and_says_what_they_could_have_meant(page: str) -> None:
    assert re.search(r"5 of 20 pairs have no score \(1 edit failed, 1 refused", page)
    assert "#pair=no-edit" in page and "scripted: something broke" in page


def test_the_same_results_make_the_same_page(runs: list[RunResult], tmp_path: Path) -> None:
    paths = [api.write_report(runs, tmp_path / name) for name in ("a.html", "b.html")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_several_runs_stand_side_by_side(runs: list[RunResult], tmp_path: Path) -> None:
    page = api.write_report(runs, tmp_path / "both.html").read_text(encoding="utf-8")
    data = Elements(page).data()
    assert data["letters"] == ["A", "B"] and data["runs"] == ["base", "new"]
    pair = next(pair for pair in data["pairs"] if pair["id"] == "pair-0000")
    assert pair["runs"][0]["after"] != pair["runs"][1]["after"]
    assert "editor.version" in page and page.count("<circle data-pair") == 0
    assert len(re.findall(r"<circle [^>]*data-pair=", page)) == 15


def test_pictures_can_lie_in_a_folder(runs: list[RunResult], tmp_path: Path) -> None:
    target = api.write_report(runs[0], tmp_path / "big.html", pictures="folder")
    lines = Elements(target.read_text(encoding="utf-8")).scripts[2].split()
    assert lines and all((tmp_path / line).is_file() for line in lines)
    assert {Path(line).parent.name for line in lines} == {"big_files"}


def test_pictures_stay_within_their_bytes(runs: list[RunResult], tmp_path: Path) -> None:
    sizes = []
    for limit in (200_000, 40_000, 0):
        target = api.write_report(runs[0], tmp_path / "small.html", picture_bytes=limit)
        page = target.read_text(encoding="utf-8")
        sizes.append(len(Elements(page).scripts[2]))
        assert sizes[-1] <= limit * 1.4 + 1
    assert sizes[0] > sizes[1] > sizes[2]
    assert "found no room in 0 bytes" in page


def test_what_is_gone_is_said(runs: list[RunResult], tmp_path: Path) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(runs[0].folder, folder)
    text = (folder / "run.toml").read_text(encoding="utf-8")
    (folder / "run.toml").write_text(
        text.replace("/suite/pairs.jsonl", "/gone.jsonl").replace("/store", "/no-store"),
        encoding="utf-8",
    )
    page = api.write_report(RunResult(folder)).read_text(encoding="utf-8")
    assert "moved: the source images cannot be shown: " in page
    assert "moved: the edits cannot be shown: " in page


def test_thumbnails_that_a_run_kept_are_shown(tmp_path: Path) -> None:
    pairs = pages.suite(tmp_path / "suite", 2, special=False)
    kept = pages.run(tmp_path, "kept", pairs, {"memory": {"keep": "thumbnails"}})
    page = api.write_report(kept).read_text(encoding="utf-8")
    assert all(pair["runs"][0]["after"] is not None for pair in Elements(page).data()["pairs"])


def test_a_page_that_cannot_be_is_refused(runs: list[RunResult], tmp_path: Path) -> None:
    (tmp_path / "begun").mkdir()
    with pytest.raises(ResultError, match="not finished"):
        api.write_report(RunResult(tmp_path / "begun"))
    with pytest.raises(ConfigError, match="1 to 26 runs"):
        api.write_report([], tmp_path / "page.html")
    with pytest.raises(MachineError, match="cannot write"):
        api.write_report(runs[0], tmp_path / "nowhere" / "page.html")
