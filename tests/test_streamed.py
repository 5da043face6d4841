"""Runs on a device that is smaller than a model of the run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from editbench import api
from editbench.config import layered
from editbench.engine.events import Event, Loaded, Memory, Planned, RunEnded
from editbench.errors import DoesNotFit
from tests.runs import TINY, Made, make, pairs, places, results

#: bytes: Kontext has 672 kB, its largest part 314 kB, and the judge 638 kB
#: 512 kB (651 kB aligned), without parts, and 889 kB
OTHERS: dict[str, Any] = {
    "editor": {"model": "tiny/instruct-pix2pix"},
    "judge": {"model": "tiny/qwen3-vl-moe"},
}
NAMES = ["ant", "cow", "eel"]  # of two categories


def budget(size: str) -> dict[str, Any]:
    return {"memory": {"device_budget": size}}


def one(events: list[Event], kind: type[Any]) -> Any:
    (found,) = [event for event in events if isinstance(event, kind)]
    return found


def check_swaps(made: Made) -> Planned:
    planned: Planned = one(made.events, Planned)
    assert one(made.events, RunEnded).swaps == planned.swaps
    return planned


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_run_finds_the_same_whichever_of_its_models_is_streamed(
    tmp_path: Path, temporary: Path
) -> None:
    suite = pairs(tmp_path / "x", NAMES)
    whole = make(tmp_path / "whole", suite, budget("900kB"))
    assert check_swaps(whole).placement == "phased"
    for size, streamed in ((620_000, ["qwen3-vl"]), (300_000, ["flux-kontext", "qwen3-vl"])):
        made = make(tmp_path / str(size), suite, budget(f"{size // 1000}kB"))
        plan = check_swaps(made)
        assert plan.placement == "streamed"
        assert [name for name in streamed if f"{name} needs" in plan.text] == streamed
        assert plan.text.count("it is streamed, so") == len(streamed)
        used = [event.device_used for event in made.events if isinstance(event, Memory)]
        assert max(used) <= size
        assert results(made.result.folder) == results(whole.result.folder)
        assert not list(temporary.glob("editbench-*"))


def test_the_other_model_swaps_around_a_streamed_one(tmp_path: Path) -> None:
    suite = pairs(tmp_path / "x", NAMES)
    early = {"run": {"early_scores": True}}
    whole = make(tmp_path / "whole", suite, OTHERS, budget("1.1MB"))
    made = make(tmp_path / "small", suite, OTHERS, budget("800kB"), early)
    plan = check_swaps(made)
    assert (plan.placement, plan.batches, plan.swaps) == ("streamed", 2, 3)
    loaded = [event.model for event in made.events if isinstance(event, Loaded)]
    assert loaded == ["instruct-pix2pix", "qwen3-vl-moe", "qwen3-vl-moe"]
    assert results(made.result.folder) == results(whole.result.folder)


def test_a_judge_alone_is_streamed_when_every_edit_is_stored(tmp_path: Path) -> None:
    suite = pairs(tmp_path / "x", NAMES)
    make(tmp_path, suite)
    made = make(tmp_path, suite, budget("300kB"), {"judge": {"max_new_tokens": 150}})
    assert made.count("edit") == 0
    assert check_swaps(made).placement == "streamed"
    assert made.count("score") == len(NAMES)


def test_what_cannot_even_be_streamed_is_refused_with_every_way_out(tmp_path: Path) -> None:
    config = api.load_config(overrides=layered(TINY, places(tmp_path), budget("150kB")))
    with pytest.raises(DoesNotFit) as caught:
        api.plan(config)
    error = caught.value
    assert str(error) == "qwen3-vl needs 627 kB, and cpu has 150 kB"
    ways = [" ".join(way.split()) for way in error.problems]
    assert ways == [
        "judge: as it is 627 kB, does not fit",
        'judge: dtype = "bf16" 313 kB, does not fit',
        'judge: quantize = "nf4" 368 kB, does not fit',
        'judge: quantize = "int8" 406 kB, does not fit',
        'judge: quantize = "fp8" 405 kB, does not fit',
        "judge: streamed not possible here",
    ]
    assert "--device-budget to 627 kB" in error.hint


def test_with_the_setting_that_the_plan_advises_nothing_is_streamed(tmp_path: Path) -> None:
    pytest.importorskip("torchao", reason="pip install torchao to test quantized models")
    suite = pairs(tmp_path / "x", NAMES)
    made = make(tmp_path, suite, budget("560kB"))
    advice = 'with quantize = "int8" it would take 406 kB and not be streamed'
    assert advice in check_swaps(made).text
    again = make(tmp_path, suite, budget("560kB"), {"judge": {"quantize": "int8"}})
    assert check_swaps(again).placement == "one model"
    assert (again.count("edit"), again.count("score")) == (0, len(NAMES))
