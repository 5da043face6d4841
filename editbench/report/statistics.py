"""Describes a list of scores: location, spread and how far the mean can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.95  #: of the interval of the mean
RESAMPLES = 9_999
EXACT = 2_000  #: values whose bootstrap is also corrected for bias and skew, in O(n²)
_AT_ONCE = 2_000_000  #: values drawn before they are averaged


@dataclass(frozen=True, slots=True)
class Stats:
    """What is known of some scores; None where too few of them define it."""

    n: int
    mean: float | None = None
    sd: float | None = None  #: of these scores as a population: divided by n
    median: float | None = None
    min: float | None = None
    max: float | None = None
    interval: tuple[float, float] | None = None  #: of the mean, 95 %


def describe(scores: Sequence[float], *, scale: tuple[float, float] = (0, 10)) -> Stats:
    """Return the statistics of finite scores; their order does not matter.

    The interval is Student's: mean ± t(0.975, n - 1) · s / √n with the sample's s (NIST/SEMATECH
    e-Handbook of Statistical Methods, section 1.3.5.2), clipped to the scale. It needs two scores
    that differ: without spread the formula has nothing to say about the next score.
    """
    n = len(scores)
    if n == 0:
        return Stats(0)
    ordered = sorted(scores)
    low, high = ordered[0], ordered[-1]
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    mean = min(max(math.fsum(ordered) / n, low), high)
    squares = math.fsum((score - mean) ** 2 for score in ordered)
    interval = None
    if low < high:
        reach = half_width(n, squares)
        interval = (max(mean - reach, scale[0]), min(mean + reach, scale[1]))
    return Stats(n, mean, math.sqrt(squares / n), middle, low, high, interval)


def half_width(n: int, squares: float) -> float:
    """Return t · s / √n of two or more scores whose squared distances from their mean add up so."""
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, (1 + LEVEL) / 2)) * math.sqrt(squares / (n - 1) / n)


def bootstrap(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean by resampling; None without spread.

    Bias-corrected and accelerated (Efron, Better Bootstrap Confidence Intervals, JASA 82, 1987,
    section 2); percentiles above ``EXACT`` values, where the corrections are lost in rounding.
    The same values give the same interval, in any order.
    """
    ordered = sorted(values)
    if len(ordered) < 2 or ordered[0] == ordered[-1]:
        return None
    import numpy as np
    from scipy import stats

    found = stats.bootstrap(
        (np.array(ordered),),
        np.mean,
        confidence_level=LEVEL,
        n_resamples=RESAMPLES,
        method="BCa" if len(ordered) <= EXACT else "percentile",
        batch=max(1, _AT_ONCE // len(ordered)),
        rng=np.random.default_rng(0),
    ).confidence_interval
    # Means are rounded sums: one may lie a last bit beyond the largest value.
    return max(float(found.low), ordered[0]), min(float(found.high), ordered[-1])
