"""Numbers for drawings: histograms, places on a scale, and dots. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BINS = 20


@dataclass(frozen=True, slots=True)
class Scale:
    """The scores that there can be."""

    low: float
    high: float

    def share(self, score: float) -> float:
        """Return where a score lies, from 0 to 100, rounded for markup."""
        return round(100 * (score - self.low) / (self.high - self.low), 2)


def histogram(scores: Sequence[float], scale: Scale) -> list[int]:
    """Return how many scores lie in each of ``BINS`` equal parts of the scale.

    Parts are closed below and open above, save the last one, which has the highest score too. What
    is off the scale, as scores of another rubric may be, is in the part that is nearest.
    """
    counts = [0] * BINS
    for score in scores:
        counts[max(0, min(int(scale.share(score) * BINS / 100), BINS - 1))] += 1
    return counts
