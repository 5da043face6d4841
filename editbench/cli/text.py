"""Text for a terminal. What a suite or a model wrote stays text: no markup, no control codes."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from rich.text import Text

from editbench.units import format_bytes, format_seconds

UNSAFE = (
    "Cc",
    "Cf",
    "Cs",
)  #: controls, invisible formatting, half characters


def plain(value: object) -> str:
    """Return a value on one line, without characters that command a terminal."""
    return "".join(
        " " if c.isspace() else "·" if unicodedata.category(c) in UNSAFE else c for c in str(value)
    )


def inert(value: object, style: str = "") -> Text:
    """Return a value as rich text on one line, cut where it is too long."""
    return Text(plain(value), style=style, no_wrap=True, overflow="ellipsis")


def lines(value: object) -> Text:
    """Return a value as rich text that keeps its line ends and folds."""
    return Text("\n".join(plain(line) for line in str(value).splitlines()))


def number(value: float | None, digits: int = 2) -> str:
    """Return a number with so many decimals; ``-`` where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def duration(seconds: float | None, *, about: bool = False) -> str:
    """Return a duration, ``~14s`` if it is a guess, ``-`` if it is unknown."""
    if seconds is None:
        return "-"
    return ("~" if about else "") + format_seconds(seconds)


def of_bytes(used: int, limit: int) -> str:
    """Return ``5.10 of 8.00 GB``, or only what is used where nothing limits it."""
    if not limit:
        return format_bytes(used)
    amount, unit = format_bytes(used).split(" ")
    whole, whole_unit = format_bytes(limit).split(" ")
    return f"{amount}{'' if unit == whole_unit else ' ' + unit} of {whole} {whole_unit}"


def mean_and_margin(mean: float | None, margin: float | None) -> str:
    """Return ``7.23 ± 0.41``; only the mean, or ``-``, where the rest is unknown."""
    return number(mean) + ("" if margin is None else f" ± {margin:.2f}")


def counted(count: int, noun: str) -> str:
    """Return ``1 pair``, ``2 pairs``; ``categories`` for ``category``."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("y") else f"{count} {noun}s"


def middle(values: Sequence[float], share: float = 0.5) -> float | None:
    """Return the value below which that share of the values lies; None without values."""
    if not values:
        return None
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
