"""A condition on a comparison, such as ``drop > 0.2``, for scripts that must notice a change."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from editbench.errors import ConfigError
from editbench.report.comparison import Comparison, Contrast

_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
#: drop: how much lower the second mean is; sure-drop: how much it is at least, by the interval
_FIGURES: Mapping[str, Callable[[Contrast], float]] = {
    "drop": lambda row: -row.difference,
    "sure-drop": lambda row: -row.interval[1] if row.interval else -row.difference,
    "losses": lambda row: row.losses,
    "wins": lambda row: row.wins,
}
_GRAMMAR = re.compile(r"\s*([a-z-]+)(?:\s+in\s+(.+?))?\s*(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?)\s*")
ANY = "any"  #: stands for each category


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition that a comparison should not meet."""

    text: str
    figure: str
    category: str  #: a category, ``any``, or nothing for all pairs
    sign: str
    bound: float

    def met(self, comparison: Comparison) -> list[str]:
        """Return a line for each row that meets the condition. Raises ``ConfigError``."""
        return [
            f"{row.name}: {self.figure} {value:.4g} {self.sign} {self.bound:g}"
            for row in self._rows(comparison)
            if _SIGNS[self.sign](value := _FIGURES[self.figure](row), self.bound)
        ]

    def _rows(self, comparison: Comparison) -> tuple[Contrast, ...]:
        if not self.category:
            return comparison.rows()[-1:]
        if self.category == ANY:
            return comparison.categories
        found = tuple(row for row in comparison.categories if row.name == self.category)
        if not found:
            known = ", ".join(row.name for row in comparison.categories)
            raise ConfigError(
                f"{self.text!r}: there is no category {self.category!r}",
                hint=f"there are: {known}, and {ANY}",
            )
        return found


def parse(text: str) -> Gate:
    """Read ``FIGURE [in CATEGORY] SIGN NUMBER``. Raises ``ConfigError``."""
    found = _GRAMMAR.fullmatch(text)
    if not found or found[1] not in _FIGURES:
        raise ConfigError(
            f"--fail-if does not know {text!r}",
            hint="write such as 'drop > 0.2', 'drop in social > 0.5', 'drop in any > 1'; "
            f"figures are {', '.join(_FIGURES)}",
        )
    return Gate(text, found[1], found[2] or "", found[3], float(found[4]))
