from __future__ import annotations

import io

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from editbench.cli.timeline import draw
from editbench.engine.needs import Need, Room
from editbench.engine.phases import Work
from editbench.engine.plan import Costs, Plan
from editbench.engine.planner import make_plan
from editbench.engine.timeline import timeline
from editbench.errors import DoesNotFit

MB = 2**20  #: which weights are aligned to anyway
EDITOR, JUDGE = Need("通义-qwen-image-edit", 58 * MB, 2 * MB), Need("qwen3-vl", 62 * MB, 2 * MB)
MEASURED = Costs(edit=14.0, score=2.0, bytes_per_second=10.0 * MB)


def plan(pairs: int, device: int, costs: Costs = MEASURED, *, first: int = 0) -> Plan:
    work = Work(range(pairs), (), edit_bytes=3, first=first)
    room = Room("cuda:0", device * MB)
    return make_plan(work, EDITOR, JUDGE, room, costs=costs, early_scores=first > 0)


def test_a_timeline_tells_loads_swaps_and_work_in_order() -> None:
    load, edit, swap, score = timeline(plan(270, 100))
    assert (load.kind, load.what, load.bytes, load.seconds) == ("load", EDITOR.name, 58 * MB, 5.8)
    assert (edit.kind, edit.items, edit.bytes, edit.seconds) == ("edit", 270, 810, 3780)
    assert (swap.kind, swap.what, swap.bytes) == ("swap", JUDGE.name, 62 * MB)
    assert (score.kind, score.items, score.seconds) == ("score", 270, 540)


def test_both_phases_at_once_are_one_stretch() -> None:
    load, both = timeline(plan(10, 1000))
    assert (load.bytes, both.kind, both.items, both.seconds) == (120 * MB, "both", 20, 160)


def test_what_is_not_measured_is_unknown() -> None:
    assert {stretch.seconds for stretch in timeline(plan(10, 100, Costs()))} == {None}
    assert timeline(plan(0, 100)) == []


@given(st.integers(0, 40), st.integers(60, 200), st.integers(0, 10))
def test_a_timeline_has_the_swaps_and_the_bytes_of_its_plan(
    pairs: int, device: int, first: int
) -> None:
    try:
        made = plan(pairs, device, first=min(first, pairs))
    except DoesNotFit:
        assume(False)
    found = timeline(made)
    assert sum(stretch.kind == "swap" for stretch in found) == made.swaps
    moved = [stretch.bytes for stretch in found if stretch.kind in ("load", "swap")]
    assert sum(moved) == made.bytes_moved
    assert sum(s.bytes for s in found if s.kind not in ("load", "swap")) == made.spill_bytes


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("costs", [MEASURED, Costs()])
def test_the_drawing_is_never_wider_than_the_terminal(width: int, costs: Costs) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=400, force_terminal=False)
    for line in draw(timeline(plan(270, 100, costs, first=20)), width=width):
        console.print(line, soft_wrap=True)
    lines = stream.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= width
    bars = [line for line in lines[1:] if "━" in line]
    starts = [cell_len(line[: line.index("━")]) for line in bars]
    assert len(bars) == len(lines) - 1 and starts == sorted(starts)
    assert ("not to scale" in lines[0]) == (costs == Costs())


def test_a_terminal_that_knows_only_ascii_gets_ascii_bars() -> None:
    lines = draw(timeline(plan(3, 1000)), width=80, ascii_only=True)
    assert all(line.plain.replace(EDITOR.name[:2], "").isascii() for line in list(lines)[2:])


@given(st.integers(1, 40), st.integers(60, 200), st.integers(64, 200))
def test_two_devices_are_loaded_once_and_work_at_once(pairs: int, first: int, second: int) -> None:
    room = Room("cuda:0", first * MB, judge_device="cuda:1", judge_bytes=second * MB)
    made = make_plan(Work(range(pairs), ()), EDITOR, JUDGE, room, costs=MEASURED)
    load, both = timeline(made)
    assert (load.kind, load.what) == ("load", f"{EDITOR.name}, {JUDGE.name}")
    assert load.bytes == made.bytes_moved == 120 * MB
    assert (both.kind, both.seconds) == ("both", 14 * pairs)
