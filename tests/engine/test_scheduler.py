from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from editbench.engine.bundles import Source
from editbench.engine.events import Event, Phase, Retrying
from editbench.engine.lanes import Lane
from editbench.engine.memory import ByteLimit
from editbench.engine.scheduler import Control, Scheduler
from editbench.engine.steps import Finished, Limits
from editbench.errors import OutOfMemory, Stopped, StoreFull, TooManyFailures
from editbench.records import Failure

pytestmark = pytest.mark.anyio


@dataclass
class ScriptedStage:
    """Doubles numbers, with what goes wrong given per number."""

    phase: Phase = "edit"
    max_batch: int = 1
    size: int = 10
    prepare_error: dict[int, Exception] = field(default_factory=dict)
    step_error: Callable[[Sequence[int]], Exception | None] = lambda inputs: None
    finish_error: dict[int, Exception] = field(default_factory=dict)
    shapes: Callable[[int], Hashable] = lambda index: 0
    on_step: Callable[[Callable[[], bool]], None] = lambda stop: None
    steps: list[list[int]] = field(default_factory=list)
    results: dict[int, Any] = field(default_factory=dict)
    relieved: int = 0
    can_relieve: int = 0
    held: int = 0
    most_held: int = 0

    def weigh(self, index: int) -> int:
        return self.size

    def shape(self, index: int) -> Hashable:
        return self.shapes(index)

    def label(self, index: int) -> str:
        return f"pair-{index}"

    def prepare(self, index: int) -> int:
        if index in self.prepare_error:
            raise self.prepare_error[index]
        self.held += 1
        self.most_held = max(self.most_held, self.held)
        return index

    def step(self, inputs: Sequence[int], stop: Callable[[], bool]) -> list[int]:
        self.steps.append(list(inputs))
        self.on_step(stop)
        error = self.step_error(inputs)
        if error:
            raise error
        return [2 * number for number in inputs]

    def relieve(self) -> bool:
        self.relieved += 1
        return self.relieved <= self.can_relieve

    def finish(self, done: Sequence[Finished]) -> list[int]:
        for item in done:
            if item.index in self.finish_error:
                raise self.finish_error[item.index]
        return [item.output for item in done]

    def announce(self, index: int, result: Any, seconds: float) -> Failure | None:
        assert index not in self.results, "announced twice"
        self.results[index] = result
        self.held -= 1
        return result if isinstance(result, Failure) else None


@dataclass
class Session:
    stage: ScriptedStage
    control: Control
    limit: ByteLimit
    events: list[Event]


async def run(
    stage: ScriptedStage,
    count: int,
    *,
    bytes_allowed: int = 1000,
    control: Control | None = None,
    **limits: Any,
) -> Session:
    control, events, limit = control or Control(), list[Event](), ByteLimit(bytes_allowed)
    lane, pool = Lane("device"), Lane("pool", threads=2)

    scheduler = Scheduler(
        lane=lane,
        pool=pool,
        limit=limit,
        control=control,
        limits=Limits(**limits),
        emit=events.append,
    )
    try:
        with anyio.fail_after(20):
            await scheduler.run(stage, Source(range(count)))
    finally:
        lane.close()
        pool.close()
    assert limit.used == 0
    return Session(stage, control, limit, events)


def states(stage: ScriptedStage) -> dict[int, str]:
    return {
        index: result.state
        for index, result in stage.results.items()
        if isinstance(result, Failure)
    }


async def test_every_pair_goes_through_once() -> None:
    session = await run(ScriptedStage(), 20)
    assert session.stage.results == {index: 2 * index for index in range(20)}
    assert session.stage.steps == [[index] for index in range(20)]


async def test_pairs_on_their_way_stay_within_the_byte_limit() -> None:
    session = await run(ScriptedStage(size=100), 30, bytes_allowed=250)
    assert session.limit.peak <= 250
    assert session.stage.most_held <= 2


async def test_one_pair_larger_than_the_limit_still_passes() -> None:
    session = await run(ScriptedStage(size=100), 5, bytes_allowed=50)
    assert len(session.stage.results) == 5


async def test_steps_are_batches_of_one_shape() -> None:
    stage = ScriptedStage(max_batch=4, shapes=lambda index: index % 2)
    await run(stage, 19)
    assert all(len({index % 2 for index in step}) == 1 for step in stage.steps)
    assert sum(len(step) == 4 for step in stage.steps) == 4
    assert len(stage.results) == 19


async def test_a_rare_shape_does_not_wait_for_the_end() -> None:
    stage = ScriptedStage(max_batch=2, shapes=lambda index: "rare" if index == 0 else index // 3)
    await run(stage, 100)
    place = next(number for number, step in enumerate(stage.steps) if 0 in step)
    assert place < 20


async def test_a_batch_that_is_too_large_is_halved_and_remembered() -> None:
    def error(inputs: Sequence[int]) -> Exception | None:
        return OutOfMemory("full") if len(inputs) > 2 else None

    session = await run(ScriptedStage(max_batch=8, step_error=error), 32)
    stage = session.stage
    assert [len(step) for step in stage.steps] == [8, 4, 2] + [2] * 15
    assert len(stage.results) == 32 and states(stage) == {}
    retries = [event for event in session.events if isinstance(event, Retrying)]
    assert [event.batch for event in retries] == [4, 2]


async def test_a_pair_that_is_too_large_alone_gets_more_of_the_device_before_it_fails() -> None:
    stage = ScriptedStage(can_relieve=1)
    stage.step_error = lambda inputs: OutOfMemory("full") if not stage.relieved else None
    await run(stage, 3, retries=0)
    assert states(stage) == {} and stage.relieved == 1

    stage = ScriptedStage()
    stage.step_error = lambda inputs: OutOfMemory("full") if inputs[0] == 1 else None
    await run(stage, 3, retries=0)
    assert states(stage) == {1: "edit_failed"}


async def test_only_the_pair_that_fails_alone_fails() -> None:
    def error(inputs: Sequence[int]) -> Exception | None:
        return ValueError("number five") if 5 in inputs else None

    stage = ScriptedStage(max_batch=4, step_error=error)
    await run(stage, 8, retries=2)
    assert states(stage) == {5: "edit_failed"}
    failure = stage.results[5]
    assert (failure.error, failure.message, failure.attempts) == ("ValueError", "number five", 3)


async def test_a_failure_that_goes_away_is_no_failure() -> None:
    seen: list[int] = []

    def error(inputs: Sequence[int]) -> Exception | None:
        seen.extend(inputs)
        return ValueError("once") if seen.count(3) == 1 and 3 in inputs else None

    stage = ScriptedStage(step_error=error)
    await run(stage, 6, retries=1)
    assert states(stage) == {}


async def test_a_pair_that_cannot_be_prepared_fails_by_itself() -> None:
    stage = ScriptedStage(prepare_error={2: OSError("gone")}, phase="score", max_batch=3)
    await run(stage, 6)
    assert states(stage) == {2: "judge_failed"}
    assert stage.results[2].message == "gone"


async def test_five_failures_alike_at_the_start_stop_the_run() -> None:
    stage = ScriptedStage(step_error=lambda inputs: ValueError("guidance_scale is required"))
    session = await run(stage, 50, retries=0)
    assert isinstance(session.control.cause, TooManyFailures)
    assert "guidance_scale" in session.control.cause.problems[0]
    assert len(stage.results) < 10


async def test_failures_that_differ_do_not_stop_the_run() -> None:
    stage = ScriptedStage(step_error=lambda inputs: ValueError(f"bad {inputs[0]}"))
    session = await run(stage, 20, retries=0)
    assert session.control.cause is None and len(states(stage)) == 20


async def test_later_failures_alike_do_not_stop_the_run() -> None:
    stage = ScriptedStage(
        step_error=lambda inputs: None if inputs[0] == 0 else ValueError("always")
    )
    session = await run(stage, 20, retries=0)
    assert session.control.cause is None and len(states(stage)) == 19


async def test_the_first_failure_stops_a_run_that_asked_for_it() -> None:
    stage = ScriptedStage(prepare_error={0: ValueError("bad")})
    session = await run(stage, 50, fail_fast=True)
    assert isinstance(session.control.cause, TooManyFailures)


async def test_a_full_store_stops_the_stage_and_keeps_what_was_stored() -> None:
    stage = ScriptedStage(finish_error={4: StoreFull("full")})
    session = await run(stage, 50)
    assert isinstance(session.control.cause, StoreFull)
    assert 4 not in stage.results and {0, 1, 2, 3} <= set(stage.results)


async def test_a_stop_finishes_what_is_on_the_device_and_nothing_more() -> None:
    control = Control()
    stage = ScriptedStage()

    def on_step(stop: Callable[[], bool]) -> None:
        if len(stage.steps) == 3:
            control.stop()
            assert not stop()

    stage.on_step = on_step
    await run(stage, 50, control=control)
    assert len(stage.steps) == 3 and set(stage.results) == {0, 1, 2}


async def test_a_stop_now_gives_up_the_step() -> None:
    control = Control()
    stage = ScriptedStage()

    def on_step(stop: Callable[[], bool]) -> None:
        if len(stage.steps) == 3:
            control.stop(now=True)
            assert stop()
            raise Stopped("at the next step")

    stage.on_step = on_step
    await run(stage, 50, control=control)
    assert set(stage.results) == {0, 1}


async def test_a_pair_that_takes_too_long_fails_and_the_rest_go_on() -> None:
    stage = ScriptedStage()

    def on_step(stop: Callable[[], bool]) -> None:
        if stage.steps[-1] != [1]:
            return
        while not stop():
            time.sleep(0.001)
        raise Stopped("asked to")

    stage.on_step = on_step
    await run(stage, 4, item_timeout=0.05)
    assert states(stage) == {1: "edit_failed"} and stage.results[1].error == "Timeout"


@given(
    count=st.integers(0, 40),
    max_batch=st.integers(1, 6),
    shapes=st.integers(1, 4),
    bad_prepare=st.sets(st.integers(0, 39), max_size=4),
    bad_step=st.sets(st.integers(0, 39), max_size=4),
    largest=st.integers(1, 6),
    allowed=st.integers(5, 200),
)
def test_whatever_goes_wrong_every_pair_has_one_result(
    count: int,
    max_batch: int,
    shapes: int,
    bad_prepare: set[int],
    bad_step: set[int],
    largest: int,
    allowed: int,
) -> None:
    def error(inputs: Sequence[int]) -> Exception | None:
        if len(inputs) > largest:
            return OutOfMemory("full")
        return ValueError(f"bad {min(inputs)}") if bad_step & set(inputs) else None

    stage = ScriptedStage(
        max_batch=max_batch,
        shapes=lambda index: index % shapes,
        prepare_error={index: OSError(f"gone {index}") for index in bad_prepare},
        step_error=error,
    )

    async def main() -> None:
        await run(stage, count, bytes_allowed=allowed)

    anyio.run(main)
    assert set(stage.results) == set(range(count))
    assert set(states(stage)) == (bad_prepare | bad_step) & set(range(count))


async def test_a_success_that_is_slow_to_store_still_comes_before_later_failures() -> None:
    failed = threading.Event()

    class SlowToStore(ScriptedStage):
        def finish(self, done: Sequence[Finished]) -> list[int]:
            assert failed.wait(10)
            return super().finish(done)

        def announce(self, index: int, result: Any, seconds: float) -> Failure | None:
            if len(self.results) > 8:
                failed.set()
            return super().announce(index, result, seconds)

    stage = SlowToStore(step_error=lambda inputs: ValueError("always") if inputs[0] else None)
    session = await run(stage, 20, retries=0)
    assert session.control.cause is None and len(states(stage)) == 19
