from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editbench.engine.plan import Costs, Need, Plan, Room, Work, make_plan
from editbench.errors import DoesNotFit

EDITOR, JUDGE = Need("editor", 60, 5), Need("judge", 70, 3)


def plan(
    missing: int = 4,
    ready: int = 0,
    *,
    device: int | None = 100,
    spill: int | None = None,
    **more: object,
) -> Plan:
    work = Work(range(missing), range(missing, missing + ready), edit_bytes=10, first=2)
    return make_plan(work, EDITOR, JUDGE, Room("cuda:0", device, spill), **more)  # type: ignore[arg-type]


def kinds(made: Plan) -> str:
    return " ".join(f"{step.kind}{len(step.edits)}+{len(step.scores)}" for step in made.phases)


def test_two_models_that_do_not_fit_together_are_swapped_once() -> None:
    made = plan()
    assert (made.placement, made.swaps, kinds(made)) == ("phased", 1, "edit4+0 score0+4")
    assert made.naive_swaps == 7


def test_two_models_that_fit_are_never_swapped() -> None:
    made = plan(device=135)
    assert (made.placement, made.swaps, kinds(made)) == ("co-resident", 0, "both4+0")
    assert plan(device=134).placement == "phased"
    assert plan(device=None).placement == "co-resident"


def test_a_judge_that_needs_no_device_is_never_swapped_for() -> None:
    made = make_plan(Work([1], []), EDITOR, Need("remote", 0), Room("cuda:0", 65))
    assert (made.placement, made.swaps) == ("remote", 0)


def test_finished_edits_need_no_editor() -> None:
    made = plan(missing=0, ready=3)
    assert (made.placement, made.swaps, kinds(made)) == ("one model", 0, "score0+3")
    assert plan(missing=0, ready=3, device=75).placement == "one model"


def test_nothing_left_is_nothing_to_do() -> None:
    made = plan(missing=0)
    assert (made.placement, made.phases) == ("nothing to do", ())


@pytest.mark.parametrize("device", [64, 72])
def test_a_model_that_does_not_fit_alone_is_refused_with_its_numbers(device: int) -> None:
    with pytest.raises(DoesNotFit, match=f"{device} B") as caught:
        plan(device=device)
    assert caught.value.hint and len(caught.value.problems) == 2


def test_a_small_disk_cuts_the_work_into_phase_batches() -> None:
    made = plan(missing=7, spill=30, keep="until-scored")
    assert kinds(made) == "edit3+0 score0+3 edit3+0 score0+3 edit1+0 score0+1"
    assert (made.batches, made.swaps) == (3, 5)


def test_stored_edits_are_scored_first_when_that_saves_a_swap() -> None:
    made = plan(missing=4, ready=4, spill=0, keep="until-scored")
    assert kinds(made) == "score0+4 edit4+0 score0+4"
    assert made.swaps == 2


def test_early_scores_cost_two_swaps() -> None:
    made = plan(missing=5, early_scores=True)
    assert kinds(made) == "edit2+0 score0+2 edit3+0 score0+3"
    assert made.swaps == 3


def test_a_disk_that_is_too_small_for_all_edits_is_announced() -> None:
    assert any("full disk" in reason for reason in plan(missing=4, spill=30).reasons)
    assert not any("full disk" in reason for reason in plan(missing=3, spill=30).reasons)


def test_only_the_overlap_moves_after_the_first_time() -> None:
    made = plan(missing=6, spill=30, keep="until-scored")
    region = 100 - 5
    overlap = 60 + 70 - region
    assert made.swaps == 3
    assert made.bytes_moved == 60 + 70 + 2 * overlap


def test_time_is_known_only_after_measurements() -> None:
    assert plan().seconds is None
    made = plan(costs=Costs(edit=2.0, score=0.5, bytes_per_second=10.0))
    assert made.seconds == 4 * 2.0 + 4 * 0.5 + made.bytes_moved / 10.0


def best_swaps(missing: int, ready: int, room: int) -> int:
    """The fewest swaps of any order of phases, by trying them all.

    An edit phase makes as many edits as there is room for or fewer; a score phase scores, and so
    frees, all that is stored.
    """
    states = {(missing, ready, kind): 0 for kind in ("edit", "score")}
    for swaps in itertools.count():
        now = [state for state, cost in states.items() if cost == swaps]
        for left, stored, kind in now:
            if kind == "edit":
                made = [(left - n, stored + n) for n in range(1, min(left, room - stored) + 1)]
                following = [(a, b, "score") for a, b in made]
            else:
                following = [(left, 0, "edit")]
                if not left:
                    return swaps
            for state in following:
                states.setdefault(state, swaps + 1)
    raise AssertionError


@given(missing=st.integers(1, 9), ready=st.integers(0, 6), free=st.integers(0, 6))
def test_no_order_of_phases_needs_fewer_swaps(missing: int, ready: int, free: int) -> None:
    if free + ready == 0:
        return
    made = plan(missing, ready, spill=free * 10, keep="until-scored")
    assert made.swaps == best_swaps(missing, ready, free + ready)


@given(
    missing=st.integers(0, 30),
    ready=st.integers(0, 30),
    device=st.one_of(st.none(), st.integers(73, 200)),
    spill=st.one_of(st.none(), st.integers(0, 200)),
    keep=st.sampled_from(["all", "until-scored"]),
    early=st.booleans(),
)
def test_every_pair_is_edited_at_most_once_and_scored_once(
    missing: int, ready: int, device: int | None, spill: int | None, keep: str, early: bool
) -> None:
    made = plan(missing, ready, device=device, spill=spill, keep=keep, early_scores=early)
    edits = [index for step in made.phases for index in step.edits]
    scores = [index for step in made.phases for index in step.scores]
    assert edits == list(range(missing))
    both = [index for step in made.phases if step.kind == "both" for index in step.edits]
    assert sorted(scores + both) == list(range(missing + ready))
    done = set(range(missing, missing + ready))
    for step in made.phases:
        done |= set(step.edits)
        assert set(step.scores) <= done
    changes = [a.kind != b.kind for a, b in itertools.pairwise(made.phases)]
    assert made.swaps == sum(changes)
    assert str(made.swaps) in made.describe() and made.as_json()["swaps"] == made.swaps
