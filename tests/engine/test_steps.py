from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from editbench.engine.events import Phase
from editbench.engine.scheduler import Control
from editbench.engine.steps import BatchLimits, Finished, Limits, Ready, Steps
from editbench.errors import OutOfMemory, Stopped
from editbench.records import Failure

CHANCE = random.Random(0)


@dataclass
class Stage:
    """Negates numbers; more than ``fits`` at once run out of memory."""

    fits: int = 99
    error: Callable[[Sequence[int]], Exception | None] = lambda inputs: None
    phase: Phase = "edit"
    max_batch: int = 99
    calls: list[list[int]] = field(default_factory=list)

    def shape(self, index: int) -> int:
        return 0

    def label(self, index: int) -> str:
        return f"pair-{index}"

    def step(self, inputs: Sequence[int], stop: Callable[[], bool]) -> list[int]:
        self.calls.append(list(inputs))
        if len(inputs) > self.fits:
            raise OutOfMemory("full")
        if error := self.error(inputs):
            raise error
        return [-number for number in inputs]


def steps_of(stage: Stage, control: Control | None = None, **limits: Any) -> Steps:
    known: BatchLimits = {}
    wishes = control or Control()
    return Steps(stage, wishes=wishes, limits=Limits(**limits), batch_limits=known)


def ready(numbers: Sequence[int]) -> list[Ready]:
    return [Ready(number, number, bytes=10) for number in numbers]


def run(steps: Steps, groups: Sequence[Sequence[int]]) -> list[Finished]:
    """Add all groups, then take as many steps as it takes, and no more."""
    for group in groups:
        steps.add(ready(group))
    left, done = len(groups), list[Finished]()
    while left:
        stepped = steps.some(left, seconds=CHANCE.choice([0, 60]))
        done += stepped.done
        left = stepped.left
    return done


@given(
    sizes=st.lists(st.integers(1, 9), max_size=8),
    fits=st.integers(1, 9),
    bad=st.sets(st.integers(0, 40)),
    retries=st.integers(0, 2),
)
def test_as_many_steps_as_it_asks_for_finish_every_pair_once(
    sizes: list[int], fits: int, bad: set[int], retries: int
) -> None:
    numbers = iter(range(100))
    groups = [[next(numbers) for _ in range(size)] for size in sizes]
    stage = Stage(fits=fits, error=lambda inputs: ValueError("bad") if bad & set(inputs) else None)
    steps = steps_of(stage, retries=retries)
    done = run(steps, groups)
    assert sorted(item.index for item in done) == list(range(sum(sizes)))
    failed = {item.index for item in done if isinstance(item.output, Failure)}
    assert failed == bad & set(range(sum(sizes)))
    assert steps.abandon() == 0


def test_pairs_to_be_tried_again_come_before_those_that_wait() -> None:
    stage = Stage(fits=2)
    run(steps_of(stage), [[1, 2, 3, 4], [5, 6]])
    assert stage.calls == [[1, 2, 3, 4], [1, 2], [3, 4], [5, 6]]


def test_nothing_starts_after_a_stop_and_what_waits_can_be_abandoned() -> None:
    control, stage = Control(), Stage()
    steps = steps_of(stage, control)
    steps.add(ready([1, 2]))
    steps.add(ready([3]))
    control.stop()
    assert steps.some(2, seconds=60) == ([], 0, [])
    assert stage.calls == [] and steps.abandon() == 30


def test_a_step_that_was_given_up_still_counts_as_waiting() -> None:
    control = Control()
    stage = Stage(error=lambda inputs: Stopped("as asked"))
    steps = steps_of(stage, control)
    steps.add(ready([1, 2]))
    stage.error = lambda inputs: control.stop(now=True) or Stopped("as asked")
    assert steps.some(1, seconds=60).done == []
    assert steps.abandon() == 20


def test_a_model_that_stops_unasked_has_failed() -> None:
    stage = Stage(error=lambda inputs: Stopped("of its own accord"))
    (item,) = run(steps_of(stage, retries=0), [[1]])
    assert (item.output.state, item.output.error) == ("edit_failed", "Stopped")


def test_too_few_outputs_fail_their_pairs_and_not_the_run() -> None:
    stage = Stage()
    stage.step = lambda inputs, stop: []  # type: ignore[method-assign]
    done = run(steps_of(stage, retries=0), [[1, 2]])
    assert [item.output.state for item in done] == ["edit_failed", "edit_failed"]


def test_several_quick_steps_are_taken_at_once_and_slow_ones_one_by_one() -> None:
    stage = Stage()
    steps = steps_of(stage)
    for number in range(6):
        steps.add(ready([number]))
    assert [item.index for item in steps.some(4, seconds=60).done] == [0, 1, 2, 3]
    done, left, _ = steps.some(2, seconds=-1)  # as if the first had taken longer
    assert ([item.index for item in done], left) == ([4], 1)
