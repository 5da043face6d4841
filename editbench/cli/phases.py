"""The dashboard's table of phases: how far each is, how fast, and how long it will take."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table

from editbench.cli.progress import Progress
from editbench.cli.shapes import Sparkline, table
from editbench.cli.state import State
from editbench.cli.text import duration, number

PACE = 10  #: columns of a sparkline


def phases(state: State, width: int, *, full: bool) -> Table:
    """Return the table; ``full`` has more columns."""
    made = table(width)
    made.add_column("phase", no_wrap=True)
    names = ["done", "reused", "failed", "per min", "pace", "median"]
    names += ["p95", "busy", "share", "left"] if full else ["busy", "left"]
    for name in names:
        if name == "pace":
            made.add_column(name, width=PACE, no_wrap=True)
        else:
            made.add_column(name, justify="right", ratio=1, no_wrap=True)
    name, editing = state.part or "edit", state.editing
    made.add_row(*_phase_cells(name, editing, state, full=full), style=_style(editing))
    made.add_row(*_swap_cells(state, full=full), style="bold" if state.doing else "")
    made.add_row(*_phase_cells("score", state.score, state, full=full), style=_style(state.score))
    return made


def _phase_cells(name: str, phase: Progress, state: State, *, full: bool) -> list[RenderableType]:
    rate = phase.rate
    left = phase.seconds_for(state.scores_left if phase is state.score else phase.left)
    return [
        f"{marker(phase) or ' '} {name}",
        f"{phase.finished}/{phase.total}",
        str(phase.reused),
        str(phase.failed),
        number(rate and rate * 60, 1),
        Sparkline(phase.pace(PACE)),
        duration(phase.quantile(0.5)),
        *([duration(phase.quantile(0.95))] if full else []),
        duration(phase.busy),
        *([_share(phase.busy, state.elapsed)] if full else []),
        _remaining(left),
    ]


def _swap_cells(state: State, *, full: bool) -> list[str]:
    times = sorted(state.swap_seconds)
    left = state.swap_seconds_left
    return [
        f"{'>' if state.doing else ' '} {state.doing.what if state.doing else 'swap'}",
        swaps(state),
        *("", "", "", ""),
        duration(times[len(times) // 2] if times else None),
        *([duration(times[-1] if times else None)] if full else []),
        duration(sum(times)),
        *([_share(sum(times), state.elapsed)] if full else []),
        _remaining(left),
    ]


def _remaining(seconds: float | None) -> str:
    return "none" if seconds == 0 else duration(seconds, about=True)


def marker(phase: Progress) -> str:
    """Return what marks a phase that is going on."""
    return ">" if phase.since is not None else ""


def _style(phase: Progress) -> str:
    return "bold" if phase.since is not None else ""


def swaps(state: State) -> str:
    """Return swaps made and planned."""
    return f"{state.swaps}/{state.swaps_planned}"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "-"
