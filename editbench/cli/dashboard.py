"""Draws the state of a run for a terminal of any size. Pure: the same state, the same picture.

Never wider or taller than asked. As the height shrinks it drops recent lines, what is resident,
categories, the memory line and the table of phases, in this order.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from editbench.cli.progress import Progress
from editbench.cli.state import Category, Line, State
from editbench.cli.text import duration, inert, mean_and_margin, number, of_bytes, plain
from editbench.engine.events import Memory

MEDIUM = (80, 16)  #: columns and rows from which there are tables
FULL = (110, 30)  #: columns and rows from which there is a frame and more columns
HEAD, HELP = 2, 1  #: rows that always stand
PHASES = 6  #: rows of the phases: a gap, names, a rule and three phases
TABLE = 3  #: rows of a table before its first line: a gap, names and a rule
BAR = 12  #: columns of a category's bar
FRAME = 4  #: columns of the frame; two rows


class Rows(NamedTuple):
    """How much of each part there is room for."""

    phases: bool = False
    memory: bool = False
    resident: bool = False
    categories: int = 0  #: rows of the table, the line that counts the hidden ones included
    lines: int = 0  #: of what happened last


def view(state: State, width: int, height: int) -> RenderableType:
    """Return the dashboard; at most ``width`` columns and ``height`` rows."""
    if width < 1 or height < 1:
        return Group()
    if width < MEDIUM[0] or height < MEDIUM[1]:
        return Group(*list(_compact(state, width))[:height])
    if width < FULL[0] or height < FULL[1]:
        return _tables(state, width, height, full=False)
    inside = _tables(state, width - FRAME, height - 2, full=True)
    return Panel(inside, box=box.ROUNDED, width=width, border_style="dim")


def fit(state: State, height: int) -> Rows:
    """Share out the rows: what is dropped last gets its room first."""
    left = height - HEAD - HELP
    if left < PHASES:
        return Rows()
    left -= PHASES
    memory = bool(state.memory) and left >= 2
    left -= 2 * memory
    categories = min(len(state.categories), max(0, left - TABLE))
    left -= categories and TABLE + categories
    resident = left >= 1 and categories == len(state.categories)
    left -= resident
    lines = max(0, min(len(state.lines), left - 1)) if resident else 0
    return Rows(True, memory, resident, categories, lines)


def _tables(state: State, width: int, height: int, *, full: bool) -> Group:
    rows = fit(state, height)
    parts: list[RenderableType] = [_title(state, width), _overall(state, width)]
    if rows.phases:
        parts += [Text(), _phases(state, width, full=full)]
    if rows.memory and state.memory:
        parts += [Text(), _memory(state.memory, width)]
    if rows.resident:
        parts.append(_resident(state))
    if rows.categories:
        parts += [Text(), _categories(state, width, rows.categories)]
    if rows.lines:
        parts += [Text(), *(_recent(line) for line in state.lines[-rows.lines :])]
    return Group(*parts, _help(state))


def _compact(state: State, width: int) -> Iterator[RenderableType]:
    yield _overall(state, width, short=True)
    edit, score = _marker(state.edit), _marker(state.score)
    facts = [
        f"{edit or score} edit {state.edit.finished}/{state.edit.total}",
        f"score {state.score.finished}/{state.score.total}",
        f"swaps {_swaps(state)}",
        f"failed {state.failed}",
    ]
    yield inert("  ".join(facts).strip())
    yield _resident(state)
    yield _help(state)


def _title(state: State, width: int) -> RenderableType:
    left = inert(f"editbench · {state.suite} · {state.editor} -> {state.judge}", "bold")
    return _two_sides(left, inert(f"run {state.run}", "dim"), width)


def _overall(state: State, width: int, *, short: bool = False) -> RenderableType:
    share = state.steps_done / state.steps if state.steps else 1.0
    facts = [f"{share:4.0%}", duration(state.elapsed), _left(state)]
    if not short:
        batches = state.plan.batches if state.plan else 0
        facts.insert(0, f"{state.steps_done}/{state.steps}")
        facts.insert(2, f"batch {state.batch}/{batches}" if batches > 1 and state.batch else "")
        facts[3] += " elapsed"
    text = "  ".join(fact for fact in facts if fact)
    bar = max(0, min(60, width - len(text) - 7))
    grid = _grid(width)
    grid.add_column(width=3)
    grid.add_column(width=bar)
    grid.add_column(justify="right", ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_row("all", _bar(state.steps_done, state.steps, bar), Text(text))
    return grid


def _left(state: State) -> str:
    left = state.time_left
    if state.ended or left is None:
        return "" if state.ended else "- left"
    seconds, sure = left
    return f"{'~' if sure else '>'}{duration(seconds)} left"


def _phases(state: State, width: int, *, full: bool) -> Table:
    table = _table(width)
    table.add_column("phase", ratio=2, no_wrap=True)
    names = ["done", "reused", "failed", "per min", "median"]
    names += ["p95", "busy", "share", "left"] if full else ["busy", "left"]
    for name in names:
        table.add_column(name, justify="right", ratio=2, no_wrap=True)
    table.add_row(*_phase_cells("edit", state.edit, state, full=full), style=_style(state.edit))
    table.add_row(*_swap_cells(state, full=full), style="bold" if state.doing else "")
    table.add_row(*_phase_cells("score", state.score, state, full=full), style=_style(state.score))
    return table


def _phase_cells(name: str, phase: Progress, state: State, *, full: bool) -> list[str]:
    rate = phase.rate
    left = phase.seconds_left
    if phase is state.score and rate:
        left = state.scores_left / rate
    return [
        f"{_marker(phase) or ' '} {name}",
        f"{phase.finished}/{phase.total}",
        str(phase.reused),
        str(phase.failed),
        number(rate and rate * 60, 1),
        duration(phase.quantile(0.5)),
        *([duration(phase.quantile(0.95))] if full else []),
        duration(phase.busy),
        *([_share(phase.busy, state.elapsed)] if full else []),
        duration(left, about=bool(left)),
    ]


def _swap_cells(state: State, *, full: bool) -> list[str]:
    times = sorted(state.swap_seconds)
    left = state.swap_seconds_left
    return [
        f"{'>' if state.doing else ' '} swap",
        _swaps(state),
        *("", "", ""),
        duration(times[len(times) // 2] if times else None),
        *([duration(times[-1] if times else None)] if full else []),
        duration(sum(times)),
        *([_share(sum(times), state.elapsed)] if full else []),
        duration(left, about=bool(left)),
    ]


def _memory(memory: Memory, width: int) -> Table:
    meters = [
        (memory.device, memory.device_used, memory.device_limit),
        ("host", memory.host_used, memory.host_limit),
        ("spill", memory.spill_used, memory.spill_limit),
    ]
    grid = _grid(width)
    for _ in meters:
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    room = (width - 4) // len(meters)
    grid.add_row(*(_meter(name, used, limit, room) for name, used, limit in meters))
    return grid


def _meter(name: str, used: int, limit: int, width: int) -> RenderableType:
    text = of_bytes(used, limit)
    bar = max(0, min(10, width - len(plain(name)) - len(text) - 2)) if limit else 0
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True, overflow="ellipsis")
    if bar:
        grid.add_column(width=bar)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    style = "red" if limit and used > 0.95 * limit else "cyan"
    grid.add_row(inert(name), *([_bar(used, limit, bar, style)] if bar else []), Text(text))
    return grid


def _resident(state: State) -> Text:
    if state.ended:
        return inert(f"finished: {state.ended.status}")
    if state.doing:
        return inert(f"{state.doing}, {duration(max(0.0, state.now - state.doing_since))}")
    models = ", ".join(state.memory.resident) if state.memory else ""
    return inert(f"on the device: {models or 'nothing yet'}")


def _categories(state: State, width: int, rows: int) -> Table:
    table = _table(width)
    table.add_column("category", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("edited", justify="right", no_wrap=True)
    table.add_column("", width=BAR)
    table.add_column("scored", justify="right", no_wrap=True)
    table.add_column("", width=BAR)
    new = "mean of new" if state.score.reused else "mean ± 95%"
    table.add_column(new, justify="right", no_wrap=True, min_width=12)
    named = list(state.categories.items())
    hidden = len(named) - rows
    shown = named[: rows - 1] if hidden else named
    for name, category in shown:
        table.add_row(*_category_cells(name, category))
    if hidden:
        table.add_row(Text(f"+ {hidden + 1} more", style="dim"))
    return table


def _category_cells(name: str, category: Category) -> list[RenderableType]:
    mean = category.mean
    return [
        inert(name),
        f"{category.edited}/{category.total}",
        _bar(category.edited, category.total, BAR),
        f"{category.scored}/{category.total}",
        _bar(category.scored, category.total, BAR),
        mean_and_margin(mean.value if mean.n else None, mean.margin),
    ]


def _recent(line: Line) -> Text:
    styles = {"failed": "red", "error": "red", "warning": "yellow", "retry": "yellow"}
    clock = time.strftime("%H:%M:%S", time.localtime(line.time))
    return inert(f"{clock}  {line.what:<8}{line.text}", styles.get(line.what, ""))


def _help(state: State) -> Text:
    if state.ended:
        return inert("")
    if state.stopping is None:
        return inert(
            "ctrl-c: finish these items, stop   twice: stop now   run again to continue", "dim"
        )
    if state.stopping.now:
        return inert("stopping at the next step; ctrl-c again to exit at once", "yellow")
    return inert("finishing what is on the device; ctrl-c again to stop now", "yellow")


def _marker(phase: Progress) -> str:
    return ">" if phase.since is not None else ""


def _style(phase: Progress) -> str:
    return "bold" if phase.since is not None else ""


def _swaps(state: State) -> str:
    return f"{state.swaps}/{state.swaps_planned}"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "-"


def _bar(done: int, total: int, width: int, style: str = "cyan") -> ProgressBar:
    return ProgressBar(
        total=max(1, total),
        completed=min(done, total),
        width=width,
        complete_style=style,
        finished_style="green" if style == "cyan" else style,
    )


def _grid(width: int) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.width = width
    return grid


def _table(width: int) -> Table:
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, expand=True, width=width)


def _two_sides(left: Text, right: Text, width: int) -> RenderableType:
    grid = _grid(width)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True, overflow="ellipsis", max_width=width // 3)
    grid.add_row(left, right)
    return grid
