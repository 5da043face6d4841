"""Draws the state of a run for a terminal of any size. Pure: the same state, the same picture.

Never wider or taller than asked. As the height shrinks it drops recent lines, what is resident,
categories, pictures if they are wanted, the memory line and the table of phases, in this order.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich import box
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from editbench.cli.categories import categories, short_categories
from editbench.cli.phases import marker, phases, swaps
from editbench.cli.shapes import Bar, grid, two_sides
from editbench.cli.state import Line, State
from editbench.cli.text import counted, duration, inert, of_bytes, plain
from editbench.cli.thumbnails import Pair
from editbench.cli.wording import describe_doing
from editbench.engine.events import Memory
from editbench.units import format_bytes

MEDIUM = (80, 16)  #: columns and rows from which there are tables
FULL = (110, 30)  #: columns and rows from which there is a frame and more columns
HEAD, HELP = 2, 1  #: rows that always stand
PHASES = 6  #: rows of the phases: a gap, names, a rule and three phases
TABLE = 3  #: rows of a table before its first line: a gap, names and a rule
FRAME = 4  #: columns of the frame; two rows
WORDY = 60  #: columns from which there is room for a word more
RUN = 8  #: characters of a run's name that are shown where it is too long
PICTURE, LEAST = 12, 5  #: rows of pictures at most, and from which they are worth it

HELPS = (
    "ctrl-c: finish these items, stop   twice: stop now   run again to continue",
    "ctrl-c: finish these, stop   twice: stop now",
    "ctrl-c: stop, twice: at once",
)
FOLLOWING = ("ctrl-c: stop looking; the run goes on",)


class Rows(NamedTuple):
    """How much of each part there is room for."""

    phases: bool = False
    memory: bool = False
    resident: bool = False
    pictures: int = 0
    categories: int = 0  #: rows of the table, the line that counts the hidden ones included
    lines: int = 0  #: of what happened last


def view(
    state: State,
    width: int,
    height: int,
    pair: Pair | None = None,
    *,
    helps: Sequence[str] = HELPS,
) -> RenderableType:
    """Return the dashboard; at most ``width`` columns and ``height`` rows.

    ``pair`` is what to show of the latest edit. ``helps`` say what keys do; the first that fits is
    shown.
    """
    if width < 1 or height < 1:
        return Group()
    if width < MEDIUM[0] or height < MEDIUM[1]:
        return Group(*_compact(state, width, height, pair, _foot(state, width, helps)))
    if width < FULL[0] or height < FULL[1]:
        return _tables(state, width, height, pair, _foot(state, width, helps), full=False)
    foot = _foot(state, width - FRAME, helps)
    inside = _tables(state, width - FRAME, height - 2, pair, foot, full=True)
    return Panel(inside, box=box.ROUNDED, width=width, border_style="dim")


def fit(state: State, height: int, *, pictures: bool = False) -> Rows:
    """Share out the rows: what is dropped last gets its room first."""
    left = height - HEAD - HELP
    if left < PHASES:
        return Rows()
    left -= PHASES
    doing = state.doing is not None and left >= 1  # nothing is more worth a row than a swap
    left -= doing
    memory = bool(state.memory) and left >= 2
    left -= 2 * memory
    shown = min(PICTURE, left - 2) if pictures else 0
    shown *= shown >= LEAST
    left -= shown and shown + 2
    listed = min(len(state.categories), max(0, left - TABLE))
    left -= listed and TABLE + listed
    resident = doing or (left >= 1 and listed == len(state.categories))
    left -= resident and not doing
    lines = max(0, min(len(state.lines), left - 1)) if resident else 0
    return Rows(True, memory, resident, shown, listed, lines)


def _tables(
    state: State, width: int, height: int, pair: Pair | None, foot: Text, *, full: bool
) -> Group:
    rows = fit(state, height, pictures=pair is not None)
    parts: list[RenderableType] = [_title(state, width), _overall(state, width)]
    if rows.phases:
        parts += [Text(), phases(state, width, full=full)]
    if rows.memory and state.memory:
        parts += [Text(), _memory(state.memory, width)]
    if rows.resident:
        parts.append(_resident(state, width))
    if rows.pictures and pair:
        parts += [Text(), *_pictures(pair, width, rows.pictures)]
    if rows.categories:
        parts += [Text(), categories(state, width, rows.categories, full=full)]
    if rows.lines:
        parts += [Text(), *(_recent(line) for line in state.lines[-rows.lines :])]
    return Group(*parts, foot)


def _pictures(pair: Pair, width: int, rows: int) -> list[RenderableType]:
    fitted = pair.fitted(width, rows)
    return [inert(f"{pair.name}: source and edit"), fitted] if fitted else []


def _compact(
    state: State, width: int, height: int, pair: Pair | None, foot: Text
) -> list[RenderableType]:
    """The essentials; then categories if there is room for all, and what happened last."""
    top: list[RenderableType] = [_overall(state, width, short=True), *_facts(state, width)]
    top.append(_resident(state, width))
    left = height - len(top) - HELP
    if pair and left > LEAST:
        rows = min(PICTURE, left - 1)
        top += _pictures(pair, width, rows)
        left -= rows + 1
    if 0 < len(state.categories) < left:
        top.append(short_categories(state, width))
        left -= len(state.categories)
    if left > 0:
        top += [_recent(line) for line in state.lines[-left:]]
    return [*top, foot] if left >= 0 else top[:height]


def _facts(state: State, width: int) -> Iterator[Text]:
    editing = state.editing
    edit, score = marker(editing), marker(state.score)
    facts = [
        f"{edit or score} {state.part or 'edit'} {editing.finished}/{editing.total}".strip(),
        f"score {state.score.finished}/{state.score.total}",
        f"swaps {swaps(state)}",
        f"failed {state.failed}",
    ]
    rows = [facts] if len("  ".join(facts)) <= width else [facts[:2], facts[2:]]
    return (inert("  ".join(row)) for row in rows)


def _title(state: State, width: int) -> RenderableType:
    left = inert(f"editbench · {state.suite} · {state.editor} -> {state.judge}", "bold")
    run = plain(state.run)
    if cell_len(run) > width - left.cell_len - len("  run "):
        run = "…" + run[-RUN:]  # its end tells it from others of the same suite and models
    return two_sides(left, Text(f"run {run}", style="dim"), width)


def _overall(state: State, width: int, *, short: bool = False) -> RenderableType:
    facts = [f"{state.share:4.0%}", duration(state.elapsed), _left(state)]
    if not short:
        batches = state.plan.batches if state.plan else 0
        facts.insert(0, f"{state.steps_done}/{state.steps}")
        facts.insert(2, f"batch {state.batch}/{batches}" if batches > 1 and state.batch else "")
        facts[3] += " elapsed"
    text = "  ".join(fact for fact in facts if fact)
    room = max(0, min(60, width - len(text) - 7))
    line = grid(width)
    line.add_column(width=3)
    line.add_column(width=room)
    line.add_column(justify="right", ratio=1, no_wrap=True, overflow="ellipsis")
    line.add_row("all", Bar(state.share, 1.0, room), Text(text))
    return line


def _left(state: State) -> str:
    left = state.time_left
    if state.ended or left is None:
        return "" if state.ended else "- left"
    seconds, sure = left
    return f"{'~' if sure else '>'}{duration(seconds)} left"


def _memory(memory: Memory, width: int) -> Table:
    meters = [
        (memory.device, memory.device_used, memory.device_limit),
        ("host", memory.host_used, memory.host_limit),
        ("spill", memory.spill_used, memory.spill_limit),
    ]
    line = grid(width)
    for _ in meters:
        line.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    room = (width - 4) // len(meters)
    line.add_row(*(_meter(name, used, limit, room) for name, used, limit in meters))
    return line


def _meter(name: str, used: int, limit: int, width: int) -> RenderableType:
    text = of_bytes(used, limit)
    room = max(0, min(10, width - len(plain(name)) - len(text) - 2)) if limit else 0
    meter = Table.grid(padding=(0, 1, 0, 0))
    meter.add_column(no_wrap=True, overflow="ellipsis")
    if room:
        meter.add_column(width=room)
    meter.add_column(no_wrap=True, overflow="ellipsis")
    # A device is meant to be full; a full host or disk is a reason to look.
    style = "red" if limit and used > 0.95 * limit and name in ("host", "spill") else "cyan"
    meter.add_row(inert(name), *([Bar(used, limit, room, style)] if room else []), Text(text))
    return meter


def _resident(state: State, width: int) -> RenderableType:
    """What the device waits for, or whose turn it is and until when."""
    if state.ended:
        return inert(f"finished: {state.ended.status}")
    if state.doing:
        text = describe_doing(state)
        room = min(20, width - len(plain(text)) - 1)
        if not state.doing.done or room < 4:
            return inert(text)
        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_row(Bar(state.doing.done, state.doing.bytes, room), inert(text))
        return line
    models = _models(state)
    if state.until_swap is None:
        return inert(models)
    items, phase = state.until_swap
    swap = "next swap in" if width >= WORDY else "swap in"
    return two_sides(inert(models), inert(f"{swap} {counted(items, phase)}"), width)


def _models(state: State) -> str:
    memory = state.memory
    if memory is None and state.sizes:  # a follower learns of models, not of memory
        return f"loaded: {', '.join(_sized(model, state) for model in state.sizes)}"
    if memory is None or not (memory.resident or memory.loaded):
        return "no model is loaded yet"
    waiting = [model for model in memory.loaded if model not in memory.resident]
    places = [(memory.device, memory.resident), ("host", waiting)]
    return "   ".join(
        f"on {place}: {', '.join(_sized(model, state) for model in models)}"
        for place, models in places
        if models
    )


def _sized(model: str, state: State) -> str:
    size = state.sizes.get(model)
    return f"{model} {format_bytes(size)}" if size else model


def _recent(line: Line) -> Text:
    styles = {"failed": "red", "error": "red", "warning": "yellow", "retry": "yellow"}
    clock = time.strftime("%H:%M:%S", time.localtime(line.time))
    return inert(f"{clock}  {line.what:<8}{line.text}", styles.get(line.what, ""))


def _foot(state: State, width: int, helps: Sequence[str]) -> Text:
    if state.ended:
        return inert("")
    if state.stopping is None:
        return inert(next((text for text in helps if len(text) <= width), helps[-1]), "dim")
    if state.stopping.now:
        return inert("stopping at the next step; ctrl-c again to exit at once", "yellow")
    return inert("finishing what is on the device; ctrl-c again to stop now", "yellow")
