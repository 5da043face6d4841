"""Whole runs, through the public API, with small real models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from editbench import api, assemble
from editbench.backends import tiny
from editbench.backends.diffusers_editor import DiffusersEditor
from editbench.backends.transformers_judge import TransformersJudge
from editbench.config import layered
from editbench.engine.events import Planned, Reading, Recalled, RunEnded, RunStarted, Swapped
from editbench.engine.store import Store
from editbench.errors import RunLocked, SuiteError
from tests.runs import TINY, make, pairs, places, results


def test_two_models_on_a_device_for_one_are_swapped_once(tmp_path: Path) -> None:
    made = make(tmp_path)
    assert made.result.summary["overall"]["n"] == 5
    assert [event.number for event in made.events if isinstance(event, Swapped)] == [0, 1]
    (planned,) = [event for event in made.events if isinstance(event, Planned)]
    (ended,) = [event for event in made.events if isinstance(event, RunEnded)]
    assert (planned.placement, planned.swaps, ended.swaps) == ("phased", 1, 1)
    (started,) = [event for event in made.events if isinstance(event, RunStarted)]
    assert any("scores mean nothing" in note for note in started.notes)


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    first = make(tmp_path)
    before = results(first.result.folder)
    again = make(tmp_path)
    assert again.count("edit") == again.count("score") == again.count("load") == 0
    assert again.result.folder == first.result.folder
    assert results(again.result.folder) == before


def test_another_rubric_scores_again_and_edits_nothing(tmp_path: Path) -> None:
    make(tmp_path)
    default = Path(api.__file__).parent / "suites/default_rubric.toml"
    other = tmp_path / "other.toml"
    text = default.read_text(encoding="utf-8")
    stricter = text.replace("You ", "Be strict. You ")
    assert stricter != text
    other.write_text(stricter, encoding="utf-8")
    again = make(tmp_path, {"judge": {"rubric": str(other)}})
    assert (again.count("edit"), again.count("score")) == (0, 5)


def test_another_number_of_steps_edits_again(tmp_path: Path) -> None:
    make(tmp_path)
    again = make(tmp_path, {"editor": {"args": {"num_inference_steps": 3}}})
    assert again.count("edit") == 5


def test_order_and_company_change_no_pairs_result(tmp_path: Path) -> None:
    names = ["ant", "bee", "cow", "dog"]
    whole = make(tmp_path / "a", pairs(tmp_path / "x", names))
    some = ["dog", "bee"]
    part = make(tmp_path / "b", pairs(tmp_path / "y", some))
    assert part.items() == {name: whole.items()[name] for name in some}


def test_one_more_pair_costs_one_more_pair(tmp_path: Path) -> None:
    make(tmp_path, pairs(tmp_path / "x", ["ant", "bee"]))
    again = make(tmp_path, pairs(tmp_path / "x", ["cow", "ant", "bee"]))
    assert (again.count("edit"), again.count("score")) == (1, 1)
    assert list(again.items()) == ["cow", "ant", "bee"]


def test_a_resumed_run_tells_what_its_reused_scores_say(tmp_path: Path) -> None:
    first = make(tmp_path, pairs(tmp_path / "x", ["ant", "bee", "cow"]))
    scores = [item["overall"] for item in first.items().values() if item["state"] == "ok"]
    again = make(tmp_path, pairs(tmp_path / "x", ["ant", "bee", "cow", "dog"]))
    (recalled,) = [event for event in again.events if isinstance(event, Recalled)]
    assert sum(recalled.counts.values()) == len(scores) > 0
    assert sum(recalled.sums.values()) == pytest.approx(sum(scores))
    assert sum(recalled.squares.values()) == pytest.approx(sum(score**2 for score in scores))


def test_two_runs_share_their_work(tmp_path: Path) -> None:
    make(tmp_path)
    other = make(tmp_path, {"run": {"name": "another"}})
    assert other.result.name == "another"
    assert (other.count("edit"), other.count("score")) == (0, 0)


def test_a_fixed_seed_is_the_same_for_every_pair(tmp_path: Path) -> None:
    own = make(tmp_path)
    fixed = make(tmp_path, {"seed_policy": "fixed"})
    assert fixed.count("edit") == 5
    pixels = [{item["edit"]["pixels"] for item in made.items().values()} for made in (own, fixed)]
    assert not pixels[0] & pixels[1]


def test_an_editor_without_a_model_needs_no_swap(tmp_path: Path) -> None:
    made = make(tmp_path, {"editor": {"use": "pillow"}})
    assert made.result.summary["overall"]["n"] == 5


def test_weights_in_a_folder_are_read_once_to_know_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assemble, "LONG", 0)
    folder = tmp_path / "judge"
    shutil.copytree(tiny.checkpoint("tiny/qwen3-vl"), folder)
    settings = {"editor": {"use": "pillow"}, "judge": {"model": str(folder)}}
    read = [
        [(event.done, event.total) for event in made.events if isinstance(event, Reading)]
        for made in (make(tmp_path, settings), make(tmp_path, settings))
    ]
    assert read[0][-1][0] == read[0][-1][1] > (folder / "model.safetensors").stat().st_size
    assert not read[1]


def test_a_run_that_is_going_on_cannot_be_started_twice(tmp_path: Path) -> None:
    config = api.load_config(overrides=layered(TINY, places(tmp_path)))

    async def twice() -> None:
        async with api.open_run(config):
            async with api.open_run(config):
                pass

    with pytest.raises(RunLocked, match="pid"):
        anyio.run(twice)


def test_a_picture_that_cannot_be_read_is_refused_or_counted(tmp_path: Path) -> None:
    suite = pairs(tmp_path / "x", ["ant", "bee", "cow"])
    picture = tmp_path / "x/bee.png"
    picture.write_bytes(picture.read_bytes()[:60])
    with pytest.raises(SuiteError) as caught:
        make(tmp_path, suite)
    assert len(caught.value.problems) == 1 and "pairs.jsonl:2" in caught.value.problems[0]
    made = make(tmp_path, suite, {"suite": {"skip_bad": True}})
    assert [item["state"] for item in made.items().values()] == ["ok", "edit_failed", "ok"]
    assert made.result.summary["overall"]["n"] == 2
    assert made.items()["bee"]["overall"] is None


def test_the_settings_a_run_leaves_repeat_it(tmp_path: Path) -> None:
    first = make(tmp_path)
    config = api.load_config(first.result.folder / "run.toml")
    events: list[str] = []
    again = api.run(config, on_event=lambda event: events.append(event.kind))
    assert again.folder.resolve() == first.result.folder.resolve()
    assert "edit" not in events


def test_the_five_categories_come_in_chinese(tmp_path: Path, data: Path) -> None:
    suite = {"path": str(data / "seed_format/ten_pairs.json"), "language": "zh", "limit": 2}
    made = make(tmp_path, {"suite": suite})
    assert list(made.result.summary["categories"]) == ["物理", "环境", "社会", "因果", "指代"]
    assert made.result.summary["overall"]["n"] == 10
    report = (made.result.folder / "report.md").read_text(encoding="utf-8")
    assert "物理" in report


def test_events_are_kept_over_sessions(tmp_path: Path) -> None:
    made = make(tmp_path)
    log = made.result.folder / "events.jsonl"
    log.write_bytes(log.read_bytes() + b'{"event": "torn')
    make(tmp_path)
    kinds = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert kinds.count("run.start") == 2 and kinds.count("edit") == 5


def test_a_second_plan_knows_how_long_the_work_takes(tmp_path: Path) -> None:
    before = layered(TINY, places(tmp_path))
    assert api.plan(api.load_config(overrides=before)).seconds is None
    make(tmp_path)
    other = layered(before, {"seed": 7})
    expected = api.plan(api.load_config(overrides=other)).seconds
    assert expected is not None and 0 < expected < 600


def test_the_first_categorys_scores_can_come_early(tmp_path: Path) -> None:
    made = make(tmp_path, {"run": {"early_scores": True}})
    kinds = [event.kind for event in made.events if event.kind in ("edit", "score")]
    assert kinds == ["edit", "score"] + ["edit"] * 4 + ["score"] * 4
    assert isinstance(made.events[-1], RunEnded) and made.events[-1].swaps == 3


@pytest.mark.parametrize("keep", ["until-scored", "thumbnails"])
def test_edits_that_are_not_kept_leave_the_same_results(tmp_path: Path, keep: str) -> None:
    whole = make(tmp_path / "a")
    part = make(tmp_path / "b", {"memory": {"keep": keep}})
    assert results(part.result.folder) == results(whole.result.folder)
    kept = []
    for place in ("a", "b"):
        with Store.open(tmp_path / place / "store") as store:
            kept.append((len(list(store.headers("e:"))), len(list(store.headers("t:")))))
    assert kept == [(5, 0), (0, 5)]
    again = make(tmp_path / "b", {"memory": {"keep": keep}})
    assert (again.count("edit"), again.count("score")) == (0, 0)
    assert results(again.result.folder) == results(whole.result.folder)


def test_another_judge_has_to_edit_again_what_was_not_kept(tmp_path: Path) -> None:
    gone = {"memory": {"keep": "until-scored"}}
    make(tmp_path, gone)
    again = make(tmp_path, gone, {"judge": {"max_new_tokens": 180}})
    assert (again.count("edit"), again.count("score")) == (5, 5)


@pytest.mark.parametrize("keep", ["all", "until-scored"])
def test_equal_pairs_share_an_edit_and_a_reply(
    tmp_path: Path, keep: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = pairs(tmp_path / "x", ["ant", "bee", "cow"])
    path = Path(suite["suite"]["path"])
    row = json.loads(path.read_text().splitlines()[0])
    with path.open("a") as file:
        file.write(json.dumps(row | {"id": "twin"}) + "\n")
    worked: list[str] = []

    def noted(work: Callable[..., Any]) -> Callable[..., Any]:
        def note(self: Any, asked: Sequence[Any], *, stop: Any) -> Any:
            worked.extend(one.pair_id for one in asked)
            return work(self, asked, stop=stop)

        return note

    monkeypatch.setattr(DiffusersEditor, "edit", noted(DiffusersEditor.edit))
    monkeypatch.setattr(TransformersJudge, "ask", noted(TransformersJudge.ask))
    made = make(tmp_path, suite, {"memory": {"keep": keep}})
    items = made.items()
    assert [item["state"] for item in items.values()] == ["ok"] * 4
    assert items["twin"]["overall"] == items["ant"]["overall"]
    assert worked == ["ant", "bee", "cow"] * 2


@pytest.mark.anyio
async def test_the_latest_pair_can_be_looked_at_while_a_run_goes_on(tmp_path: Path) -> None:
    settings = layered(TINY, places(tmp_path), pairs(tmp_path / "x", ["ant", "bee"]))
    seen: list[tuple[str, tuple[int, int], tuple[int, int]]] = []
    async with api.open_run(api.load_config(overrides=settings)) as run:
        assert await run.pictures(32) is None
        async for event in run:
            if event.kind in ("edit", "score") and (shown := await run.pictures(32)):
                seen.append((shown.pair, shown.source.size, shown.edit.size))
                assert await run.pictures(32, after=shown.pair) is None
    assert {name for name, _, _ in seen} == {"ant", "bee"}
    assert all(max(size) == 32 for _, *sizes in seen for size in sizes)
