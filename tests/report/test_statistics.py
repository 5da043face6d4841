from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editbench.report.statistics import Stats, describe

scores = st.lists(st.floats(0, 10, allow_subnormal=False), max_size=60)


def slow(values: list[float]) -> tuple[Fraction, Fraction]:
    """Exact mean and population variance."""
    exact = [Fraction(value) for value in values]
    mean = sum(exact, Fraction()) / len(exact)
    return mean, sum(((value - mean) ** 2 for value in exact), Fraction()) / len(exact)


def test_nothing_is_known_of_no_scores() -> None:
    assert describe([]) == Stats(0)


def test_one_score_has_a_mean_and_no_interval() -> None:
    assert describe([4.0]) == Stats(1, 4.0, 0.0, 4.0, 4.0, 4.0, None)


def test_scores_without_spread_have_no_interval() -> None:
    assert describe([7.0] * 9).interval is None


def test_the_interval_agrees_with_a_worked_example() -> None:
    # n = 4, mean 5, s = 2.582, t(0.975, 3) = 3.182 from any printed table.
    stats = describe([2.0, 4.0, 6.0, 8.0])
    assert stats.interval == pytest.approx((5 - 4.1085, 5 + 4.1085), abs=1e-3)


def test_the_interval_is_clipped_to_the_scale() -> None:
    assert describe([0.0, 10.0]).interval == (0, 10)
    assert describe([1.0, 5.0], scale=(1, 5)).interval == (1, 5)


@given(scores.filter(bool))
def test_figures_agree_with_exact_arithmetic(values: list[float]) -> None:
    stats = describe(values)
    mean, variance = slow(values)
    assert stats.n == len(values)
    assert stats.mean == pytest.approx(float(mean), rel=1e-12, abs=1e-12)
    assert stats.sd == pytest.approx(math.sqrt(variance), rel=1e-9, abs=1e-9)
    assert (stats.min, stats.max) == (min(values), max(values))
    below = sum(value <= (stats.median or 0.0) for value in values)
    above = sum(value >= (stats.median or 0.0) for value in values)
    assert 2 * below >= len(values) <= 2 * above


@given(scores.filter(lambda values: len(set(values)) > 1))
def test_the_interval_is_students(values: list[float]) -> None:
    from scipy import stats as reference

    mean, variance = slow(values)
    error = math.sqrt(float(variance) / (len(values) - 1))
    if error < 1e-9:
        return
    low, high = reference.t.interval(0.95, len(values) - 1, loc=float(mean), scale=error)
    expected = (max(low, 0.0), min(high, 10.0))
    assert describe(values).interval == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(scores, st.randoms(use_true_random=False))
def test_order_changes_nothing(values: list[float], random: object) -> None:
    shuffled = sorted(values, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert describe(shuffled) == describe(values)
