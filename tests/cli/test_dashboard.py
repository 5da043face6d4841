from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from editbench.cli.dashboard import FOLLOWING, fit, view
from editbench.cli.shapes import Bar, Sparkline
from editbench.cli.state import fold
from editbench.engine.events import Advanced, Event, Loaded, PhaseStarted, Stopping, Swapping
from tests.cli.builders import a_run, drawn, in_parts, runs, started, state_after

DURING = 37  #: events of a run, in the middle of scoring


def screen(width: int, height: int, *, count: int = DURING) -> list[str]:
    return drawn(view(state_after(count), width, height), width)


@given(runs, st.integers(1, 150), st.integers(1, 45))
def test_the_dashboard_is_never_wider_or_taller_than_asked(
    events: list[Event], width: int, height: int
) -> None:
    state = fold(events)
    assert state is not None
    lines = drawn(view(state, width, height), width)
    assert len(lines) <= height
    assert max(map(cell_len, lines), default=0) <= width


@given(st.integers(0, 60), st.integers(0, 150), st.integers(0, 60))
def test_neither_is_that_of_a_usual_run(count: int, width: int, height: int) -> None:
    lines = drawn(view(state_after(count + 1), width, height), max(1, width))
    assert len(lines) <= height
    assert max(map(cell_len, lines), default=0) <= width


@given(runs)
def test_nothing_that_commands_a_terminal_gets_through(events: list[Event]) -> None:
    state = fold(events)
    assert state is not None
    for line in drawn(view(state, 120, 40), 120):
        assert line.isprintable()


def test_a_terminal_of_24_rows_is_filled_but_for_one() -> None:
    lines = screen(80, 23)
    assert len(lines) == 23
    assert lines[0].startswith("editbench · kris · qwen-image-edit -> qwen3-vl")
    assert lines[0].endswith("run kaze")
    assert lines[1].startswith("all ") and lines[1].endswith("left")
    assert [line.split()[0] for line in lines[3:8]][::2] == ["phase", "edit", ">"]
    assert "qwen3-vl" in lines[10]
    assert lines[-1].startswith("ctrl-c: finish these items, stop")


def test_a_large_terminal_gets_a_frame_and_more_columns() -> None:
    lines = screen(112, 34)
    assert lines[0][0] == "╭" and lines[-1][-1] == "╯"
    head = next(line for line in lines if "per min" in line)
    assert "p95" in head and "share" in head
    assert all(cell_len(line) == 112 for line in lines)


def test_a_small_terminal_gets_the_essentials() -> None:
    lines = screen(60, 4)
    assert "> edit 19/20  score 4/20  swaps 1/1  failed 2" in lines[1]
    assert lines[2].startswith("on cuda:0: qwen3-vl") and lines[3].startswith("ctrl-c")
    assert screen(60, 1)[0].startswith("all")


def test_a_small_terminal_with_rows_left_gets_categories_and_what_happened_last() -> None:
    lines = screen(60, 30)
    assert any(line.startswith("社会与文化") and "1/4" in line for line in lines)
    assert "score" in lines[-2] and lines[-1].startswith("ctrl-c")


def test_facts_too_long_for_one_row_take_two() -> None:
    assert [line.split()[0] for line in screen(40, 9)[1:3]] == [">", "swaps"]


def test_parts_are_dropped_in_order_as_rows_get_scarce() -> None:
    state = state_after(DURING)
    seen = [fit(state, height) for height in range(40, 0, -1)]
    gone: list[tuple[int, str]] = []
    for name in ("lines", "resident", "categories", "memory", "phases"):
        kept = [index for index, rows in enumerate(seen) if getattr(rows, name)]
        gone.append((max(kept), name))
    assert gone == sorted(gone, key=lambda entry: entry[0])


def test_categories_that_do_not_fit_are_counted() -> None:
    lines = screen(80, 17)
    assert any(line.startswith("+ 4 more") or line.startswith("+ 3 more") for line in lines)


def test_chinese_names_keep_the_columns_straight() -> None:
    lines = screen(80, 23)
    rows = [line for line in lines if "/4 " in line and not line.startswith("all")]
    assert len(rows) == 5 and any("社会与文化" in row for row in rows)
    assert len({cell_len(row[: row.index("/4")]) for row in rows}) == 1


def test_markup_in_a_name_is_only_text() -> None:
    assert any("causal [b]x[/b]" in line for line in screen(80, 23))


def test_a_swap_says_what_it_is_doing() -> None:
    state = fold([started(), Swapping(1.0, "a", "qwen3-vl", 17 * 10**9)])
    assert state is not None
    text = "\n".join(drawn(view(state, 80, 23), 80))
    assert "moving qwen3-vl to the device, 17.0 GB" in text


def test_a_swap_under_way_says_how_far_and_how_fast_even_on_few_rows() -> None:
    state = state_after(30)
    for height in (10, 16, 23):
        lines = drawn(view(state, 80, height), 80)
        assert any("moving qwen3-vl to cuda:0, 8.00 of 17.0 GB at 400 MB/s" in x for x in lines)


def test_the_next_swap_is_announced() -> None:
    lines = screen(80, 23, count=20)
    (line,) = [line for line in lines if line.startswith("on cuda:0: qwen-image-edit 41.0 GB")]
    assert line.endswith("next swap in 6 edits")


@pytest.mark.parametrize(("now", "said"), [(False, "finishing what is on"), (True, "next step")])
def test_a_stop_is_answered(now: bool, said: str) -> None:
    state = fold([started(), PhaseStarted(0, "edit", 1, 1), Stopping(1.0, now)])
    assert state is not None
    assert said in drawn(view(state, 80, 23), 80)[-1]


def test_an_ascii_terminal_gets_ascii_bars_and_rules() -> None:
    state = fold([event for event in a_run() if event.kind != "run.start"])
    assert state is None
    plain = fold([started({"a": 4}), *list(a_run())[1:9]])
    assert plain is not None
    lines = drawn(view(plain, 80, 23), 80, ascii_only=True)
    bars = [line for line in lines if line.startswith(("all", "---", "a "))]
    assert bars and all("━" not in line and "─" not in line for line in bars)


def test_a_bar_shows_its_share_without_color() -> None:
    assert drawn(Bar(1, 2, 8), 8) == ["━━━━"]
    assert [drawn(Bar(n, 4, 8), 8, ascii_only=True) for n in (0, 2, 4)] == [
        ["........"],
        ["####...."],
        ["########"],
    ]


def test_a_sparkline_shows_a_change_of_pace_and_has_an_ascii_form() -> None:
    pace = Sparkline((8, 8, 4, 0))
    assert drawn(pace, 10) == ["██▅▁"]
    assert drawn(pace, 10, ascii_only=True) == ["##=_"]
    assert drawn(pace, 2) == ["▅▁"]


def test_a_part_of_the_edits_is_shown_by_its_name_and_its_own_count() -> None:
    events = list(in_parts())
    at = events.index(next(e for e in events if isinstance(e, Advanced) and e.part == "denoise"))
    state = fold(events[: at + 1])
    assert state is not None
    (row,) = [line for line in drawn(view(state, 100, 24), 100) if line.startswith("> denoise")]
    assert row.split()[:3] == [">", "denoise", "1/3"]
    assert "> denoise 1/3" in "\n".join(drawn(view(state, 60, 12), 60))
    assert "22%" in "\n".join(drawn(view(state, 60, 12), 60))


def test_whoever_learns_of_no_memory_is_told_what_was_loaded() -> None:
    state = fold([started(), Loaded(1, "qwen3-vl", 17 * 10**9, 1.0)])
    assert state is not None
    assert "loaded: qwen3-vl 17.0 GB" in drawn(view(state, 80, 23), 80)


def test_whoever_only_looks_is_told_that_the_run_goes_on() -> None:
    for width, height in ((80, 23), (120, 39), (60, 8)):
        lines = drawn(view(state_after(20), width, height, helps=FOLLOWING), width)
        assert sum("stop looking; the run goes on" in line for line in lines) == 1
