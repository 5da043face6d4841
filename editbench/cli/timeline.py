"""Draws a plan as a timeline: a line for each load, swap and phase, to scale if times are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from editbench.cli.text import counted, duration, inert
from editbench.units import format_bytes

if TYPE_CHECKING:
    from editbench.api import Stretch

WIDEST = 110  #: columns; a longer line is no easier to read
_WORDS = 30  #: columns for what is done
_NUMBERS = 20  #: columns for bytes and time
_STYLES = {"load": "blue", "swap": "magenta", "edit": "green", "score": "cyan", "both": "green"}


def draw(stretches: Sequence[Stretch], *, width: int, ascii_only: bool = False) -> Iterator[Text]:
    """Yield the lines of the drawing, none wider than ``width``."""
    if not stretches:
        return
    room = min(width, WIDEST) - _WORDS - _NUMBERS
    known = [stretch.seconds for stretch in stretches if stretch.seconds is not None]
    to_scale = len(known) == len(stretches) and sum(known) > 0
    title = "timeline" if to_scale else "timeline, not to scale: times are unknown until measured"
    yield Text(title, style="bold")
    shares = (
        [stretch.seconds or 0.0 for stretch in stretches] if to_scale else [1.0] * len(stretches)
    )
    mark = "#" if ascii_only else "━"
    total, passed = sum(shares), 0.0
    for stretch, share in zip(stretches, shares, strict=True):
        start = int(room * passed / total)
        passed += share
        end = max(start + 1, int(room * passed / total))
        line = inert(_said(stretch))
        line.truncate(_WORDS - 1, overflow="ellipsis", pad=True)
        line.append(" " * (start + 1))
        line.append(mark * (end - start), style=_STYLES[stretch.kind])
        line.append(" " * max(0, room - end))
        size = format_bytes(stretch.bytes) if stretch.bytes else ""
        line.append(f"{size:>10}{duration(stretch.seconds, about=True):>9}")
        yield line


def _said(stretch: Stretch) -> str:
    if not stretch.items:
        return f"  {stretch.kind:<6}{stretch.what}"
    if stretch.kind == "both":
        work = f"{stretch.items} edits and scores"
    elif stretch.what:
        work = f"{stretch.what} {stretch.items}"
    else:
        work = counted(stretch.items, stretch.kind)
    return f"{stretch.batch} {stretch.kind:<6}{work}"
