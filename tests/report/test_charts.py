from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from editbench.report.charts import BINS, Scale, histogram


@given(st.lists(st.floats(-2, 3)))
def test_every_score_is_in_one_bar(scores: list[float]) -> None:
    assert sum(histogram(scores, Scale(-2, 3))) == len(scores)


def test_bars_are_closed_below_and_the_last_has_the_highest_score() -> None:
    counts = histogram([0, 0.49, 0.5, 9.99, 10], Scale(0, 10))
    assert counts[:2] == [2, 1] and counts[-1] == 2 and len(counts) == BINS


def test_what_is_off_the_scale_is_at_its_end() -> None:
    counts = histogram([-3, 0, 11], Scale(0, 10))
    assert counts[0] == 2 and counts[-1] == 1
