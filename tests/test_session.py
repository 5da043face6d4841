from __future__ import annotations

from pathlib import Path

import pytest

from editbench import api
from editbench.config import layered
from editbench.engine.events import Event, Swapping
from editbench.errors import Stopped
from tests.runs import TINY, places


def config(folder: Path, **more: object) -> api.RunConfig:
    return api.load_config(overrides=layered(TINY, places(folder), more))


@pytest.mark.anyio
async def test_a_run_can_be_followed_event_by_event(tmp_path: Path) -> None:
    async with api.open_run(config(tmp_path)) as run:
        kinds = [event.kind async for event in run]
    assert kinds[0] == "run.start" and kinds[-1] == "run.end"
    assert kinds.count("edit") == kinds.count("score") == 5
    assert run.result is not None and run.result.finished


@pytest.mark.anyio
async def test_leaving_the_events_stops_the_run(tmp_path: Path) -> None:
    async with api.open_run(config(tmp_path)) as run:
        async for event in run:
            if event.kind == "edit":
                break
    assert run.result is None
    assert not api.open_result(run.folder).finished
    last = list(api.open_result(run.folder).events())[-1]
    assert (last["event"], last["status"]) == ("run.end", "stopped")


@pytest.mark.anyio
async def test_a_stop_reaches_who_follows(tmp_path: Path) -> None:
    async with api.open_run(config(tmp_path)) as run:
        with pytest.raises(Stopped):
            async for event in run:
                if event.kind == "phase.start":
                    run.stop()


@pytest.mark.anyio
async def test_a_stop_gives_up_a_move_and_the_run_goes_on_from_there(tmp_path: Path) -> None:
    def follow(event: Event) -> None:
        if isinstance(event, Swapping) and event.old:
            run.stop(now=True)

    async with api.open_run(config(tmp_path), on_event=follow) as run:
        with pytest.raises(Stopped, match="everything finished is stored"):
            await run.wait()
    kinds = [event["event"] for event in api.open_result(run.folder).events()]
    assert kinds.count("swap.start") == 2 and kinds.count("swap") == 1
    assert "score" not in kinds and "error" not in kinds
    async with api.open_run(config(tmp_path)) as again:
        kinds = [event.kind async for event in again]
    assert kinds.count("edit") == 0 and kinds.count("score") == 5


@pytest.mark.anyio
async def test_an_error_inside_an_open_run_is_raised_as_itself(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with api.open_run(config(tmp_path)):
            raise ZeroDivisionError
