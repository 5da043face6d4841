"""Which placement random sizes and budgets get, against arithmetic done apart from the plan."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from editbench.engine.needs import Need, Room
from editbench.engine.phases import Work
from editbench.engine.placement import ALIGNMENT as UNIT
from editbench.engine.placement import overlay
from editbench.engine.plan import Plan
from editbench.engine.planner import make_plan
from editbench.engine.protocols import Streaming
from editbench.errors import DoesNotFit

UNITS = st.integers(1, 40).map(lambda count: count * UNIT)
BUDGET = st.none() | st.integers(0, 80).map(lambda count: count * UNIT)


def row(made: Plan | DoesNotFit) -> str:
    """The row of the table that a plan is in."""
    if isinstance(made, DoesNotFit):
        return "refuse"
    if made.placement == "streamed":
        return "streamed"
    if made.hosting.written:
        return "file"
    return "both" if made.placement == "co-resident" else "overlay"


@given(
    editor=UNITS,
    judge=UNITS,
    working=st.integers(0, 5).map(lambda count: count * UNIT),
    device=st.integers(1, 90).map(lambda count: count * UNIT),
    memory=BUDGET,
    disk=BUDGET,
    early=st.booleans(),
    streams=st.booleans(),
)
def test_every_size_and_budget_gets_the_placement_that_it_can_have(
    editor: int,
    judge: int,
    working: int,
    device: int,
    memory: int | None,
    disk: int | None,
    early: bool,
    streams: bool,
) -> None:
    work = Work(range(4), [], edit_bytes=10, first=2)
    sizes = {"edit": editor, "score": judge}
    editing, scoring = (
        Need(name, size, working, streaming=Streaming(UNIT, size) if streams else None)
        for name, size in sizes.items()
    )
    room = Room("sim", device, None, memory, disk)
    try:
        made: Plan | DoesNotFit = make_plan(work, editing, scoring, room, early_scores=early)
    except DoesNotFit as exc:
        made = exc
    region = device - working
    both = editor + judge <= region
    large = sum(size for size in sizes.values() if size > region)
    # Where the models take turns once only, the first is gone before the second is read.
    once = not both and not early
    masters = [size for size in sizes.values() if size <= region]
    spare = 10**9 if memory is None else max(0, memory - large)
    beyond = (max if once else sum)([*masters, 0]) - spare
    if (large and not streams) or (disk is not None and beyond > disk):
        expected = "refuse"
    elif large:
        expected = "streamed"
    elif beyond > 0:
        expected = "file"
    else:
        expected = "both" if both else "overlay"
    assert row(made) == expected
    if isinstance(made, DoesNotFit):
        assert str(made) and made.hint
        return
    homes = made.hosting.homes
    owned = {name: size for name, size in sizes.items() if name not in made.streamed}
    assert {name: sum(home) for name, home in homes.items()} == owned  # conservation of bytes
    if made.streamed:
        return
    overlap = 0 if both else overlay(sizes, capacity=region).overlap("edit", "score")
    assert made.bytes_moved == editor + judge + (made.swaps - 1) * overlap * (not both)
    assert made.hosting.written == sum(home.file for home in homes.values())
    assert made.hosting.written <= made.hosting.read <= made.bytes_moved
    again = 0 if both or once else overlap
    if memory is None or memory >= 2 * again:  # what is loaded again is in memory before the rest
        assert made.hosting.read == made.hosting.written
    more = dataclasses.replace(room, host_bytes=None, file_bytes=None)
    assert make_plan(work, editing, scoring, more, early_scores=early).phases == made.phases
