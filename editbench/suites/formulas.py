"""Ways to make one number of several. Pure."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence


def minimum(values: Sequence[float]) -> float:
    """Return the smallest value: as good as its worst side."""
    return min(values)


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean."""
    return math.fsum(values) / len(values)


def geometric(values: Sequence[float]) -> float:
    """Return the geometric mean of values that are not negative: 0 if one of them is."""
    return math.prod(math.pow(value, 1 / len(values)) for value in values)


def weighted(values: Sequence[float], weights: Sequence[float]) -> float:
    """Return the mean in which each value counts by its weight."""
    return math.fsum(map(operator.mul, values, weights)) / math.fsum(weights)
