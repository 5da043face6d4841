from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editbench.engine.needs import Need, Room
from editbench.engine.phases import Work
from editbench.engine.plan import Costs, Plan
from editbench.engine.planner import make_plan
from editbench.engine.protocols import Part, Streaming
from editbench.errors import DoesNotFit

GB = 10**9
EDITOR, JUDGE = Need("editor", 60 * GB, 5 * GB), Need("judge", 70 * GB, 3 * GB)


def plan(
    missing: int = 4,
    ready: int = 0,
    *,
    device: int | None = 100,
    spill: int | None = None,
    **more: object,
) -> Plan:
    """A plan for a device of so many GB and a disk of so many bytes."""
    work = Work(range(missing), range(missing, missing + ready), edit_bytes=10, first=2)
    room = Room("cuda:0", None if device is None else device * GB, spill)
    return make_plan(work, EDITOR, JUDGE, room, **more)  # type: ignore[arg-type]


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
    made = make_plan(Work([1], []), EDITOR, Need("remote", 0), Room("cuda:0", 65 * GB))
    assert (made.placement, made.swaps) == ("remote", 0)


def test_finished_edits_need_no_editor() -> None:
    made = plan(missing=0, ready=3)
    assert (made.placement, made.swaps, kinds(made)) == ("one model", 0, "score0+3")
    assert plan(missing=0, ready=3, device=73).placement == "one model"
    assert plan(missing=0, ready=3, device=73).reserve(("edit", "score")) == 3 * GB


def test_nothing_left_is_nothing_to_do() -> None:
    made = plan(missing=0)
    assert (made.placement, made.phases) == ("nothing to do", ())


@pytest.mark.parametrize("device", [64, 74])
def test_a_model_that_does_not_fit_alone_is_refused_with_its_numbers(device: int) -> None:
    with pytest.raises(DoesNotFit, match=f"{device}.0 GB") as caught:
        plan(device=device)
    assert "or choose a smaller model or another --device" in caught.value.hint
    assert len(caught.value.problems) >= 2


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
    assert made.bytes_moved == (60 + 70 + 2 * overlap) * GB


PARTS = (
    Part("encode", {"text": 16 * GB, "vae": GB}),
    Part("denoise", {"transformer": 41 * GB}),
    Part("decode", {"vae": GB}),
)
SMALL_JUDGE = Need("judge", 40 * GB, 2 * GB)
PARTED = Need("editor", 58 * GB, 3 * GB, PARTS)


def in_parts(
    missing: int = 4,
    ready: int = 0,
    *,
    device: int = 48,
    spill: int | None = None,
    judge: Need = SMALL_JUDGE,
    reached: Mapping[int, int] | None = None,
    **more: object,
) -> Plan:
    work = Work(
        range(missing),
        range(missing, missing + ready),
        edit_bytes=10,
        state_bytes=100,
        first=2,
        reached=reached or {},
    )
    return make_plan(work, PARTED, judge, Room("cuda:0", device * GB, spill), **more)  # type: ignore[arg-type]


def models(made: Plan) -> list[set[str]]:
    return [{name.removeprefix("edit.") for name in step.models} for step in made.phases]


def test_an_editor_that_does_not_fit_whole_takes_turns_in_parts() -> None:
    assert in_parts(device=61).placement == "phased"
    made = in_parts(device=60)
    assert (made.placement, made.swaps) == ("in parts", 2)
    assert [step.part for step in made.phases] == ["encode", "denoise", "decode", ""]
    assert models(made) == [{"text", "vae"}, {"transformer", "vae"}, {"vae"}, {"score"}]
    assert made.bytes_moved == (16 + 1 + 41 + 40) * GB
    assert (
        "2 swaps" not in made.describe()
        and "1 swap between parts, and moves nothing twice" in made.describe()
    )
    assert "denoise 4 with transformer and vae" in made.describe()


def test_what_two_parts_need_is_loaded_again_where_there_is_no_room_for_it_between() -> None:
    made = in_parts(device=44)
    assert models(made) == [{"text", "vae"}, {"transformer"}, {"vae"}, {"score"}]
    assert made.swaps == 3
    assert made.bytes_moved == (16 + 1 + 41 + 1 + 40) * GB
    assert "moves 1.00 GB twice" in made.describe()


def test_a_device_for_less_than_the_largest_part_is_refused_with_its_bytes() -> None:
    with pytest.raises(DoesNotFit) as caught:
        in_parts(device=43)
    ways = [" ".join(way.split()) for way in caught.value.problems]
    assert "editor: in parts 41.0 GB for the largest, does not fit" in ways


def test_a_judge_that_needs_no_device_scores_during_the_last_part() -> None:
    made = in_parts(judge=Need("remote", 0), ready=2)
    assert kinds(made) == "edit4+0 edit4+0 both4+2"
    assert (made.placement, made.swaps, made.phases[-1].part) == ("in parts", 1, "decode")


def test_parts_that_are_done_are_not_planned_again() -> None:
    made = in_parts(reached={0: 1, 1: 1, 2: 2, 3: 2})
    assert [(step.part, list(step.edits)) for step in made.phases[:-1]] == [
        ("denoise", [0, 1]),
        ("decode", [0, 1, 2, 3]),
    ]
    assert made.swaps == 1
    whole = in_parts(device=200, reached={0: 1, 2: 2})
    assert kinds(whole) == "both4+0"
    phased = in_parts(device=61, reached={0: 1, 2: 2})
    assert kinds(phased) == "edit4+0 score0+4"


def test_a_disk_for_few_states_makes_more_batches_of_which_each_costs_three_swaps() -> None:
    made = in_parts(missing=6, spill=320)
    assert made.batches == 3 and made.swaps == 3 * 3 - 1
    assert made.state_bytes == 2 * 100
    assert "2 edits on their way at a time" in made.describe()
    assert in_parts(missing=6, spill=660).batches == 1


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
    device=st.one_of(st.none(), st.integers(75, 200)),
    spill=st.one_of(st.none(), st.integers(0, 200)),
    keep=st.sampled_from(["all", "until-scored"]),
    early=st.booleans(),
    parted=st.booleans(),
    data=st.data(),
)
def test_every_pair_is_edited_at_most_once_and_scored_once(
    missing: int,
    ready: int,
    device: int | None,
    spill: int | None,
    keep: str,
    early: bool,
    parted: bool,
    data: st.DataObject,
) -> None:
    if parted:
        sizes = st.integers(44, 70)
        reached = st.dictionaries(st.integers(0, 30), st.integers(1, 2))
        made = in_parts(
            missing,
            ready,
            device=data.draw(sizes),
            spill=spill,
            keep=keep,
            early_scores=early,
            reached=data.draw(reached),
        )
    else:
        made = plan(missing, ready, device=device, spill=spill, keep=keep, early_scores=early)
    edits = [i for step in made.phases if step.part in ("", "decode") for i in step.edits]
    scores = [index for step in made.phases for index in step.scores]
    assert edits == list(range(missing))
    both = [index for step in made.phases if step.kind == "both" for index in step.edits]
    assert sorted(scores + both) == list(range(missing + ready))
    done = set(range(missing, missing + ready))
    for step in made.phases:
        done |= set(step.edits) if step.part in ("", "decode") else set()
        assert set(step.scores) <= done
    changes = [set(b.models) - set(a.models) for a, b in itertools.pairwise(made.phases)]
    assert made.swaps == sum(map(bool, changes))
    assert str(made.swaps) in made.describe() and made.as_json()["swaps"] == made.swaps


STREAMED = Streaming(held=20 * GB, moved=50 * GB)


def streamed(
    editor: Need, judge: Need, *, device: int, missing: int = 4, ready: int = 0, **more: object
) -> Plan:
    work = Work(range(missing), range(missing, missing + ready), edit_bytes=10, first=2)
    return make_plan(work, editor, judge, Room("cuda:0", device * GB), **more)  # type: ignore[arg-type]


def test_streaming_comes_after_every_other_way() -> None:
    editor = replace(PARTED, streaming=STREAMED)
    ways = [streamed(editor, SMALL_JUDGE, device=size).placement for size in (102, 61, 60, 43)]
    assert ways == ["co-resident", "phased", "in parts", "streamed"]


def test_a_streamed_model_leaves_the_device_for_the_other_and_moves_what_stays() -> None:
    judge = Need("judge", 62 * GB, 2 * GB, streaming=STREAMED)
    editor = Need("editor", 40 * GB, 3 * GB)
    made = streamed(editor, judge, device=45, early_scores=True)
    assert (made.placement, made.streamed, made.swaps) == ("streamed", ("score",), 3)
    assert made.bytes_moved == 2 * (40 + 62 - 50) * GB
    assert (made.budget("score"), made.budget("edit")) == (43 * GB, 42 * GB)
    assert made.as_json()["streamed"] == {"score": {"held": 20 * GB, "moved": 50 * GB}}


def test_an_editor_takes_turns_in_parts_beside_a_judge_that_is_streamed() -> None:
    judge = Need("judge", 62 * GB, 2 * GB, streaming=STREAMED)
    made = streamed(PARTED, judge, device=48)
    assert (made.placement, made.streamed) == ("streamed", ("score",))
    assert [step.part for step in made.phases] == ["encode", "denoise", "decode", ""]
    assert made.bytes_moved == (16 + 1 + 41 + 12) * GB
    assert "its parts take turns" in made.describe() and "1 swap between parts" in made.describe()


def test_a_model_that_is_not_needed_is_not_streamed() -> None:
    editor = Need("editor", 90 * GB)
    assert streamed(editor, SMALL_JUDGE, device=43, missing=0, ready=2).placement == "one model"
    assert streamed(editor, SMALL_JUDGE, device=43, missing=0).placement == "nothing to do"


def test_one_model_that_cannot_be_streamed_refuses_both() -> None:
    judge = Need("judge", 62 * GB, streaming=STREAMED)
    with pytest.raises(DoesNotFit, match=r"^editor needs 90\.0 GB, and cuda:0 has 43\.0 GB$"):
        streamed(Need("editor", 90 * GB), judge, device=43)


def split(
    editor: Need = EDITOR,
    judge: Need = JUDGE,
    *,
    devices: tuple[int, int] = (65, 73),
    missing: int = 4,
    ready: int = 2,
    **more: object,
) -> Plan:
    """A plan for two devices of so many GB, the editor's and the judge's."""
    work = Work(range(missing), range(missing, missing + ready), edit_bytes=10, first=2)
    room = Room("cuda:0", devices[0] * GB, judge_device="cuda:1", judge_bytes=devices[1] * GB)
    return make_plan(work, editor, judge, room, **more)  # type: ignore[arg-type]


def test_a_device_for_each_model_means_no_swap_and_both_phases_at_once() -> None:
    made = split(costs=Costs(edit=10.0, score=2.0, bytes_per_second=10.0 * GB))
    assert (made.placement, made.swaps, kinds(made)) == ("split", 0, "both4+2")
    assert made.bytes_moved == 130 * GB
    assert made.seconds == 40 + 13  # the slower of the two, and the moves
    assert "cuda:0, 65.0 GB; cuda:1, 73.0 GB" in made.describe()
    assert [(model["role"], model["device"]["name"]) for model in made.as_json()["models"]] == [
        ("editor", "cuda:0"),
        ("judge", "cuda:1"),
    ]


@pytest.mark.parametrize(("devices", "who"), [((64, 73), "editor"), ((65, 72), "judge")])
def test_each_model_has_to_fit_its_own_device(devices: tuple[int, int], who: str) -> None:
    with pytest.raises(DoesNotFit, match=f"^{who} needs .* and cuda:{who == 'judge':d} has"):
        split(devices=devices)


def test_an_editor_takes_turns_with_itself_beside_a_judge_on_another_device() -> None:
    made = split(PARTED, SMALL_JUDGE, devices=(48, 43))
    assert made.placement == "split"
    assert kinds(made) == "edit4+0 edit4+0 both4+2"
    assert [step.models for step in made.phases][-1][-1] == "score"
    alone = streamed(PARTED, Need("remote", 0), device=48, ready=2)
    assert made.swaps == alone.swaps
    assert made.bytes_moved == alone.bytes_moved + SMALL_JUDGE.weights
    assert "its parts take turns" in made.describe()


def test_a_judge_is_streamed_on_its_own_device() -> None:
    judge = Need("judge", 62 * GB, 2 * GB, streaming=STREAMED)
    made = split(EDITOR, judge, devices=(65, 40))
    assert (made.placement, made.streamed, made.swaps) == ("split", ("score",), 0)
    assert (made.budget("edit"), made.budget("score")) == (60 * GB, 38 * GB)
    assert made.bytes_moved == (60 + 12) * GB


def test_what_is_left_for_one_model_concerns_its_device_only() -> None:
    assert split(missing=0, devices=(1, 73)).placement == "one model"
    assert split(missing=0, ready=0, devices=(1, 1)).placement == "nothing to do"
    assert split(judge=Need("remote", 0), devices=(65, 1)).placement == "remote"
    assert split(editor=Need("files", 0), devices=(1, 73)).placement == "remote"


def test_masters_of_both_models_share_the_host_on_two_devices() -> None:
    room = Room("a", 65 * GB, None, 100 * GB, 999 * GB, judge_device="b", judge_bytes=73 * GB)
    made = make_plan(Work(range(4), ()), EDITOR, JUDGE, room)
    assert sum(home.memory for home in made.hosting.homes.values()) <= 100 * GB
    assert "host memory cannot hold all weights" in made.describe()
