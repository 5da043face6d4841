from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editbench.errors import ResultError
from editbench.records import Outcome
from editbench.report.summary import rows, summarize
from tests.report.builders import failed, item, scored, unparsable


def summary(*outcomes: Outcome, scale: tuple[float, float] = (0, 10)) -> dict[str, Any]:
    return summarize(map(item, outcomes), scale=scale)


def test_categories_stand_in_order_of_appearance() -> None:
    found = summary(
        scored(1, category="social"), scored(2, category="causal"), scored(3, category="social")
    )
    assert list(found["categories"]) == ["social", "causal"]
    assert found["categories"]["social"]["n"] == 2


def test_failed_pairs_are_counted_and_in_no_mean() -> None:
    row = summary(scored(8), scored(6), failed(), unparsable(), unparsable())["overall"]
    assert row["mean"] == 7
    assert (row["n"], row["pairs"], row["coverage"]) == (2, 5, 0.4)
    assert row["failures"] == {"edit_failed": 1, "unparsable": 2}


def test_failed_pairs_bound_what_the_mean_could_have_been() -> None:
    assert summary(scored(8), scored(6), failed(), unparsable())["overall"]["bounds"] == [3.5, 8.5]
    assert summary(scored(8))["overall"]["bounds"] == [8, 8]


def test_a_run_in_which_all_failed_has_no_mean() -> None:
    row = summary(failed(), failed())["overall"]
    assert row["mean"] is row["median"] is row["interval"] is None
    assert row["bounds"] == [0, 10]


def test_no_items_make_an_empty_summary() -> None:
    row = summary()["overall"]
    assert row["pairs"] == 0
    assert row["coverage"] is row["bounds"] is None


@pytest.mark.parametrize("score", [11.0, -1.0])
def test_a_score_off_the_scale_is_an_error(score: float) -> None:
    with pytest.raises(ResultError, match="pair p1"):
        summary(scored(score))


def test_an_ok_item_without_a_score_is_an_error() -> None:
    with pytest.raises(ResultError, match="pair p1"):
        summarize([item(scored(5)) | {"overall": None}])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.floats(0, 10)), max_size=40))
def test_the_overall_row_is_of_all_pairs(drawn: list[tuple[str, float | None]]) -> None:
    outcomes = [
        failed(category=name) if score is None else scored(score, category=name)
        for name, score in drawn
    ]
    found = summary(*outcomes)
    parts = found["categories"].values()
    assert found["overall"]["pairs"] == len(drawn) == sum(row["pairs"] for row in parts)
    assert found["overall"]["n"] == sum(row["n"] for row in parts)
    low, high = found["overall"]["bounds"] or (0, 10)
    assert 0 <= low <= high <= 10
    if found["overall"]["n"]:
        assert low - 1e-6 <= found["overall"]["mean"] <= high + 1e-6


@given(st.lists(st.floats(0, 10), max_size=30), st.randoms(use_true_random=False))
def test_order_within_a_category_changes_no_byte(values: list[float], random: object) -> None:
    shuffled = sorted(values, key=lambda _: random.random())  # type: ignore[attr-defined]
    one, other = (json.dumps(summary(*map(scored, some))) for some in (values, shuffled))
    assert one == other


def test_no_clock_reading_reaches_the_summary() -> None:
    quick = item(scored(5)) | {"seconds": {"edit": 0.1, "score": 0.1}}
    slow = item(scored(5)) | {"seconds": {"edit": 9.9, "score": 9.9}}
    assert summarize([quick]) == summarize([slow])


def test_the_margin_is_the_arm_that_the_scale_does_not_clip() -> None:
    found = summary(scored(9), scored(10), scored(10), scored(8))
    low, high = found["overall"]["interval"]
    row = rows(found)[-1]
    assert high == 10
    assert row.margin == pytest.approx(found["overall"]["mean"] - low)


def test_rows_end_with_overall() -> None:
    found = rows(summary(scored(4, category="a"), failed(category="b")))
    assert [(row.name, row.n, row.failed) for row in found] == [
        ("a", 1, 0),
        ("b", 0, 1),
        ("overall", 1, 1),
    ]
    assert rows({}) == []
