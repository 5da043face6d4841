"""Runs on two devices: the editor has one, the judge the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from editbench import api
from editbench.config import layered
from editbench.engine.events import (
    Event,
    Memory,
    PhaseEnded,
    PhaseStarted,
    Planned,
    RunEnded,
    Swapped,
)
from editbench.errors import ConfigError, DoesNotFit, Stopped
from tests.runs import TINY, make, pairs, places, results

TWO: dict[str, Any] = {"memory": {"device": "cpu,cpu"}}
NAMES = ["ant", "bee", "cow", "dog"]


def phases(events: list[Event]) -> list[str]:
    words = {PhaseStarted: "begins", PhaseEnded: "ends"}
    marks = (event for event in events if isinstance(event, PhaseStarted | PhaseEnded))
    return [f"{event.phase} {words[type(event)]}" for event in marks]


@pytest.mark.parametrize(
    ("model", "budget"), [("tiny/flux-kontext", "900kB"), ("tiny/qwen-image-edit", "1.44MB")]
)
def test_two_devices_find_what_one_finds_without_a_swap(
    tmp_path: Path, model: str, budget: str
) -> None:
    suite = pairs(tmp_path / "x", NAMES)
    both: dict[str, Any] = {"editor": {"model": model}, "memory": {"device_budget": budget}}
    one = make(tmp_path / "one", suite, both)
    two = make(tmp_path / "two", suite, both, TWO)
    assert results(two.result.folder) == results(one.result.folder)
    (planned,) = [event for event in two.events if isinstance(event, Planned)]
    (ended,) = [event for event in two.events if isinstance(event, RunEnded)]
    assert (planned.placement, planned.swaps, ended.swaps) == ("split", 0, 0)
    assert phases(one.events) == ["edit begins", "edit ends", "score begins", "score ends"]
    assert all("begins" in phase for phase in phases(two.events)[:2])  # both at once
    seen = [event for event in two.events if isinstance(event, Memory)]
    assert {event.device for event in seen} == {"cpu, cpu"}
    assert [event.number for event in two.events if isinstance(event, Swapped)] == [0, 0]


def test_an_editor_takes_turns_on_its_device_while_the_judge_has_the_other(tmp_path: Path) -> None:
    suite, small = pairs(tmp_path / "x", NAMES), {"memory": {"device_budget": "660kB"}}
    one = make(tmp_path / "one", suite, small)
    two = make(tmp_path / "two", suite, small, TWO)
    assert results(two.result.folder) == results(one.result.folder)
    planned = [next(e for e in made.events if isinstance(e, Planned)) for made in (one, two)]
    ended = [next(e for e in made.events if isinstance(e, RunEnded)) for made in (one, two)]
    assert [event.placement for event in planned] == ["in parts", "split"]
    assert [event.swaps for event in planned] == [event.swaps for event in ended]
    assert ended[1].swaps == ended[0].swaps - 1  # the judge never comes instead


def test_a_device_that_is_too_small_for_its_model_is_named(tmp_path: Path) -> None:
    budget = {"memory": {"device_budget": "500kB"}, "judge": {"model": "tiny/qwen3-vl"}}
    config = api.load_config(overrides=layered(TINY, places(tmp_path), TWO, budget))
    assert api.plan(config).placement == "split"  # the judge is streamed, and says so
    with pytest.raises(DoesNotFit):
        smaller = {"memory": {"device_budget": "10kB"}}
        api.plan(api.load_config(overrides=layered(TINY, places(tmp_path), TWO, smaller)))


@pytest.mark.anyio
@pytest.mark.parametrize("now", [False, True])
async def test_both_devices_stop_and_the_run_goes_on_as_if_nothing_had_been(
    tmp_path: Path, now: bool
) -> None:
    suite = pairs(tmp_path / "x", NAMES)
    room = {"memory": {"device_budget": "900kB"}}
    settings = layered(TINY, places(tmp_path / "two"), suite, TWO, room)
    with pytest.raises(Stopped):
        async with api.open_run(api.load_config(overrides=settings)) as run:
            async for event in run:
                if event.kind == "edit":
                    run.stop(now=now)
    two = await anyio.to_thread.run_sync(lambda: make(tmp_path / "two", suite, TWO, room))
    assert 0 < two.count("edit") < len(NAMES)
    one = await anyio.to_thread.run_sync(lambda: make(tmp_path / "one", suite, room))
    assert results(two.result.folder) == results(one.result.folder)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("cuda:0,cuda:0", "two different devices"),
        ("auto,cuda:1", "two different devices"),
        ("cuda:0,", "the editor's and the judge's"),
        ("cuda:0,cuda:1,cuda:2", "the editor's and the judge's"),
    ],
)
def test_what_are_not_two_devices_is_refused(device: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        api.load_config(overrides={"memory": {"device": device}})
    assert said in str(caught.value) + " ".join(caught.value.problems)
