"""What a terminal of any size shows during a run: all of a frame, once, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text

from editbench.cli.dashboard import view
from editbench.cli.painter import Painter
from editbench.cli.state import State, fold
from editbench.engine.events import (
    Edited,
    Event,
    Failed,
    Loaded,
    Loading,
    Moving,
    PhaseEnded,
    PhaseStarted,
    Planned,
    Stopping,
    Swapped,
    Swapping,
)
from tests.cli.builders import EDITOR, GB, JUDGE, memory, runs, scored, started
from tests.cli.emulator import Emulator

SIZES = [(80, 24), (120, 40), (60, 12), (40, 10)]
CATEGORIES = {
    "物理规律": 9,
    "environmental": 9,
    "社会与文化常识": 9,
    "causal [b]x[/b]": 9,
    "指代": 9,
    "a category with a name that no column is wide enough for": 9,
    **{f"category {number}": 9 for number in range(6)},
}


def moments() -> Iterator[tuple[str, list[Event]]]:
    """The phases of a run of 12 categories, each with all events up to then."""
    names = [name for name in CATEGORIES for _ in range(9)]
    events: list[Event] = [started(CATEGORIES), Planned(0, "phased", 1, 1, 215, "")]
    events += [memory(0), Loading(1, EDITOR, 41 * GB)]
    yield "load", events
    events += [Loaded(9, EDITOR, 41 * GB, 8.0), PhaseStarted(9, "edit", 1, 108)]
    events += [
        Edited(10.0 + n, f"对-{n}", name, 1.0, 1024, 1024) for n, name in enumerate(names[:40])
    ]
    yield "edit", events
    text = "OutOfMemoryError: 显存不足 " + "x" * 300
    events += [
        Failed(60.0 + n, "edit", f"p{n}", name, "edit_failed", text)
        for n, name in enumerate(names[40:60])
    ]
    yield "failure burst", events
    events += [Edited(90.0 + n, f"p{n}", name, 1.0, 8, 8) for n, name in enumerate(names[60:])]
    events += [
        PhaseEnded(140, "edit", 1, 88, 20, 100.0, 90.0),
        Swapping(140, EDITOR, JUDGE, 17 * GB),
    ]
    events += [Moving(150, JUDGE, 9 * GB, 17 * GB)]
    yield "swap", events
    events += [Swapped(160, EDITOR, JUDGE, 17 * GB, 20.0, 1), PhaseStarted(160, "score", 1, 88)]
    events += [memory(160, JUDGE)]
    events += [scored(161.0 + n, f"p{n}", name, n % 11) for n, name in enumerate(names[:40])]
    yield "score", events
    yield "drain", [*events, Stopping(202, False)]


STATES = {what: state for what, events in moments() if (state := fold(list(events)))}


@pytest.mark.parametrize("what", STATES)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_frame_fills_no_more_than_the_screen_but_for_one_row(
    what: str, width: int, height: int
) -> None:
    terminal = Emulator(width, height)
    painter = Painter(terminal.console)
    for _ in range(3):
        painter.draw(view(STATES[what], width, height - 1), (width, height))
    rows = terminal.rows()
    assert rows == terminal.expected(view(STATES[what], width, height - 1), width)
    assert 3 <= len(rows) < height
    assert terminal.scrolled == 0
    painter.clear()
    assert terminal.rows() == []


@given(
    st.lists(st.sampled_from(list(STATES.values())) | runs.map(fold), min_size=1, max_size=4),
    st.integers(2, 150),
    st.integers(3, 45),
)
def test_frames_of_any_size_and_order_leave_only_the_last(
    states: list[State], width: int, height: int
) -> None:
    terminal = Emulator(width, height)
    painter = Painter(terminal.console)
    for state in states:
        painter.draw(view(state, width, height - 1), (width, height))
    assert terminal.rows() == terminal.expected(view(states[-1], width, height - 1), width)
    assert terminal.scrolled == 0


@given(st.lists(st.sampled_from(["draw", "print"]), max_size=30), st.integers(30, 120))
def test_what_is_printed_stands_above_the_frame_in_order(actions: list[str], width: int) -> None:
    terminal = Emulator(width, 12)
    painter = Painter(terminal.console)
    terminal.console.push_render_hook(painter)
    printed = []
    state = STATES["edit"]
    for number, action in enumerate(actions):
        if action == "draw":
            painter.draw(view(state, width, 11), (width, 12))
        else:
            printed.append(f"line {number}")
            terminal.console.print(Text(printed[-1]))
    painter.draw(view(state, width, 11), (width, 12))
    frame = terminal.expected(view(state, width, 11), width)
    scrolled = [
        "".join(row[x].data for x in range(width)).rstrip() for row in terminal.screen.history.top
    ]
    assert scrolled + terminal.rows() == printed + frame


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(20, 140), st.integers(6, 45)), min_size=1, max_size=4))
def test_a_window_of_another_size_shows_the_frame_once(sizes: list[tuple[int, int]]) -> None:
    terminal = Emulator(80, 24)
    painter = Painter(terminal.console)
    state = STATES["score"]
    painter.draw(view(state, 80, 23), (80, 24))
    for width, height in sizes:
        terminal.resize(width, height)
        painter.draw(view(state, width, height - 1), (width, height))
        frame = terminal.expected(view(state, width, height - 1), width)
        assert [row for row in terminal.rows() if row] == [row for row in frame if row]


def test_a_pause_leaves_the_old_frame_and_draws_below_what_the_shell_wrote() -> None:
    terminal = Emulator()
    painter = Painter(terminal.console)
    painter.draw(Text("one\ntwo"), (80, 24))
    terminal.write("[1]+ Stopped\n")
    painter.forget()
    painter.draw(Text("three\nfour"), (80, 24))
    assert terminal.rows() == ["one", "two", "[1]+ Stopped", "three", "four"]


def test_an_echoed_key_is_written_over() -> None:
    terminal = Emulator()
    painter = Painter(terminal.console)
    painter.draw(Text("one\nctrl-c: stop"), (80, 24))
    terminal.write("^C")
    painter.draw(Text("one\nctrl-c: stop"), (80, 24))
    assert terminal.rows() == ["one", "ctrl-c: stop"]


def test_no_mode_of_the_terminal_outlives_a_frame() -> None:
    terminal = Emulator()
    before = set(terminal.screen.mode)
    Painter(terminal.console).draw(view(STATES["edit"], 80, 23), (80, 24))
    assert set(terminal.screen.mode) == before
    assert not terminal.screen.cursor.hidden
    assert "\x1b[?1049h" not in terminal.text and "\x1b[?25l" not in terminal.text
