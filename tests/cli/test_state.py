from __future__ import annotations

import json
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editbench.cli.progress import BEATS, FEWEST, MOST, Mean, Progress
from editbench.cli.state import LINES, fold, update
from editbench.engine.events import (
    Advanced,
    Checking,
    Edited,
    Event,
    PhaseEnded,
    PhaseStarted,
    Planned,
    RunStarted,
    Scored,
    Swapped,
    from_json,
)
from tests.cli.builders import a_run, in_parts, recalled, runs, scored, started, state_after


def test_nothing_is_known_before_the_run_starts() -> None:
    assert update(None, Checking(0, "kris", 1, 2)) is None
    assert fold([]) is None


def test_a_whole_run_is_counted() -> None:
    state = state_after()
    assert (state.edit.done, state.edit.reused, state.edit.failed) == (17, 2, 1)
    assert (state.score.done, state.score.reused, state.score.failed) == (17, 1, 1)
    assert state.edit.left == state.scores_left == 0
    assert state.steps_done == state.steps == 40
    assert state.failed == 2
    assert state.categories["social"].failed == state.categories["physical"].failed == 1
    assert (state.swaps, state.swaps_left) == (1, 0)


def test_a_pair_that_cannot_be_edited_is_not_waited_for_in_scoring() -> None:
    state = state_after(27)  # the edit of the last pair failed
    assert state.edit.failed == 1
    assert state.scores_left == state.score.left - 1


def test_the_first_model_on_the_device_is_no_swap() -> None:
    state = state_after(6)
    assert state.swaps == 0 and state.swap_seconds == ()


def test_a_second_plan_adds_to_the_swaps_of_the_first() -> None:
    events: list[Event] = [
        started(),
        Planned(0, "phased", 1, 1, 9, ""),
        Swapped(1, "a", "b", 1, 1.0, 1),
        Planned(2, "phased", 1, 1, 3, ""),
    ]
    state = fold(events)
    assert state is not None
    assert (state.swaps, state.swaps_planned, state.swaps_left) == (1, 2, 1)


def test_edits_in_parts_count_part_by_part() -> None:
    shares = []
    events: list[Event] = []
    for event in in_parts():
        state = fold(events := [*events, event])
        assert state is not None
        if isinstance(event, Advanced | Edited):
            shares.append(round(state.share, 6))
            assert (state.editing.finished, state.editing.total) == ((len(shares) - 1) % 3 + 1, 3)
            assert state.until_swap in (None, (3 - state.editing.finished, "edit"))
    assert shares == [round(n / 18, 6) for n in range(1, 10)]
    assert (state.edit.done, state.part, state.turn) == (3, "", None)


def test_reused_work_is_in_no_rate() -> None:
    state = fold([started({"a": 100}, edits={"a": 90}), PhaseStarted(0, "edit", 1, 10)])
    assert state is not None
    assert state.edit.finished == 90 and state.edit.rate is None


def test_a_rate_does_not_count_the_time_between_two_spells() -> None:
    events: list[Event] = [started({"a": 100})]
    clock = 0.0
    for batch in (1, 2):
        events.append(PhaseStarted(clock, "edit", batch, 5))
        for number in range(5):
            clock += 2
            events.append(Edited(clock, f"{batch}/{number}", "a", 2.0, 8, 8))
        events.append(PhaseEnded(clock, "edit", batch, 5, 0, 10.0, 10.0))
        clock += 1000
    state = fold(events)
    assert state is not None and state.edit.rate == pytest.approx(0.5)
    assert state.edit.seconds_left == pytest.approx(180)


def test_a_rate_needs_a_few_items() -> None:
    progress = Progress(10).start(0.0).finish(1.0, 1.0).finish(2.0, 1.0)
    assert progress.rate is None
    assert progress.finish(3.0, 1.0).rate == pytest.approx(1.0)


def test_a_rate_forgets_what_is_long_ago_and_keeps_enough() -> None:
    slow = Progress(10**6).start(0.0)
    for number in range(1, 50):
        slow = slow.finish(number * 100.0, 100.0)
    assert len(slow.recent) == FEWEST
    quick = Progress(10**6).start(0.0)
    for number in range(1, 2000):
        quick = quick.finish(number * 0.1, 0.1)
    assert len(quick.recent) == MOST


def test_time_left_is_a_lower_bound_until_the_judge_is_known() -> None:
    state = state_after(20)
    assert state.edit.rate == pytest.approx(0.1)
    seconds, sure = state.time_left or (0.0, True)
    assert seconds == pytest.approx(state.edit.left * 10.0) and not sure


def test_time_left_is_sure_once_everything_was_seen() -> None:
    state = state_after(37)
    seconds, sure = state.time_left or (0.0, False)
    assert seconds == pytest.approx(state.scores_left * 2.0) and sure


def test_time_left_goes_by_earlier_runs_until_this_one_is_known() -> None:
    known = Planned(0, "phased", 1, 1, 9, "", {"edit": 10.0, "score": 2.0, "swap": 30.0})
    state = fold([started({"a": 5}), known])
    assert state is not None
    assert state.time_left == (5 * 10.0 + 5 * 2.0 + 30.0, True)


def test_phases_at_once_are_not_added_up() -> None:
    events: list[Event] = [
        started({"a": 10}),
        Planned(0, "co-resident", 1, 0, 19, ""),
        PhaseStarted(0, "edit", 1, 10),
        PhaseStarted(0, "score", 1, 0),
    ]
    for number in range(1, 5):
        events.append(Edited(number * 4.0, f"{number}", "a", 4.0, 8, 8))
        events.append(scored(number * 4.0 + 1, f"{number}", "a", 5.0))
    state = fold(events)
    assert state is not None and state.at_once
    seconds, sure = state.time_left or (0.0, False)
    assert seconds == pytest.approx(24) and sure


def test_reused_scores_join_the_means_and_those_without_a_number_count_as_failed() -> None:
    state = fold([started({"a": 4, "b": 2}, scores={"a": 3, "b": 1}), scored(0, "p", "a", 8.0)])
    assert state is not None and state.means_are_new
    state = update(state, recalled({"a": 2, "b": 1}, score=5.0))
    assert state is not None and not state.means_are_new
    assert (state.categories["a"].mean.n, state.categories["a"].mean.value) == (3, 6.0)
    assert (state.mean.n, state.mean.value) == (4, 5.75)
    assert (state.categories["a"].scored, state.categories["a"].failed) == (3, 1)
    assert (state.score.finished, state.score.failed) == (4, 1)


@given(st.lists(st.floats(0, 10), max_size=30), st.lists(st.floats(0, 10), max_size=30))
def test_two_means_joined_are_the_mean_of_all(one: list[float], other: list[float]) -> None:
    joined, whole = _mean(one).join(_mean(other)), _mean(one + other)
    assert joined.n == whole.n
    assert joined.value == pytest.approx(whole.value, abs=1e-9)
    assert joined.squares == pytest.approx(whole.squares, abs=1e-6)


def _mean(values: list[float]) -> Mean:
    return Mean.of(len(values), sum(values), sum(value**2 for value in values))


def test_the_past_is_kept_in_few_spans_however_long_it_is() -> None:
    progress = Progress(10**4).start(0.0)
    for number in range(2000):
        seconds = 1.0 if number < 1000 else 3.0
        start = number if number < 1000 else 1000 + (number - 1000) * 3
        progress = progress.finish(start + seconds, seconds)
    assert len(progress.beats) <= BEATS and sum(progress.beats) == 2000
    pace = progress.pace(8)
    assert len(pace) <= 8
    assert pace[0] == pytest.approx(3 * pace[-1], rel=0.05)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=60))
def test_the_running_mean_is_the_mean(values: list[float]) -> None:
    mean = Mean()
    for value in values:
        mean = mean.add(value)
    assert mean.value == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert mean.squares == pytest.approx(
        statistics.pvariance(values) * len(values), abs=1e-6, rel=1e-6
    )


def test_the_margin_is_that_of_the_final_table() -> None:
    from editbench.report.statistics import describe

    values = [3.0, 5.0, 4.0, 6.0, 5.0, 4.5]
    mean = Mean()
    for value in values:
        mean = mean.add(value)
    interval = describe(values).interval
    assert interval is not None
    assert mean.margin == pytest.approx(interval[1] - mean.value)


def test_no_margin_is_shown_for_a_handful_of_scores() -> None:
    assert Mean().add(1.0).add(2.0).margin is None


@given(runs)
def test_any_order_of_events_gives_a_sane_state(drawn: list[Event]) -> None:
    state = fold(drawn)
    assert state is not None
    assert 0 <= state.steps_done <= state.steps
    assert state.elapsed >= 0
    assert len(state.lines) <= LINES
    left = state.time_left
    assert left is None or left[0] >= 0


def test_events_come_back_from_their_log() -> None:
    for event in a_run():
        back = from_json(json.loads(json.dumps(event.as_json())))
        assert back is not None
        assert json.dumps(back.as_json()) == json.dumps(event.as_json())


@pytest.mark.parametrize("line", [{}, {"event": "from.later"}, {"event": "edit", "odd": 1}])
def test_an_event_of_a_later_version_is_passed_over(line: dict[str, object]) -> None:
    assert from_json(line) is None


def test_a_new_session_starts_from_what_is_stored() -> None:
    state = fold([*a_run(), started(edits={"physical": 4}, scores={})])
    assert state is not None
    assert state.edit.finished == 4 and state.score.finished == 0 and state.lines == ()


def test_a_score_of_an_unknown_category_is_still_counted() -> None:
    state = fold([started({"a": 1}), Scored(1, "p", "b", 1.0, "ok", 5.0)])
    assert state is not None and state.categories["b"].scored == 1
    assert isinstance(started(), RunStarted)
