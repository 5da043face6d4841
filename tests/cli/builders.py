"""A run's events for the tests of the displays, and how to see what is drawn."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

from hypothesis import strategies as st
from rich.console import Console, RenderableType

from editbench.cli.state import State, fold
from editbench.engine.events import (
    Advanced,
    Edited,
    Event,
    Failed,
    Loaded,
    Loading,
    Memory,
    Moving,
    Notice,
    PhaseEnded,
    PhaseStarted,
    Planned,
    Recalled,
    Retrying,
    RunEnded,
    RunStarted,
    Scored,
    Stopping,
    Swapped,
    Swapping,
)

GB = 10**9
CATEGORIES = {"physical": 4, "社会与文化": 4, "causal [b]x[/b]": 4, "referential": 4, "social": 4}
EDITOR, JUDGE = "qwen-image-edit", "qwen3-vl"


def started(
    categories: Mapping[str, int] = CATEGORIES,
    *,
    edits: Mapping[str, int] | None = None,
    scores: Mapping[str, int] | None = None,
    time: float = 0.0,
) -> RunStarted:
    return RunStarted(
        time,
        run="kaze",
        folder="runs/kaze",
        suite="kris",
        editor=EDITOR,
        judge=JUDGE,
        categories=dict(categories),
        reused_edits=dict(edits or {}),
        reused_scores=dict(scores or {}),
        notes=("scores mean nothing",),
    )


def memory(time: float, resident: str = EDITOR) -> Memory:
    return Memory(
        time, "cuda:0", 38 * GB, 48 * GB, 5 * GB, 8 * GB, 2 * GB, 0, (resident,), (resident,)
    )


def scored(time: float, pair: str, category: str, overall: float | None) -> Scored:
    state = "unparsable" if overall is None else "ok"
    return Scored(time, pair, category, 2.0, state, overall)


def recalled(counts: Mapping[str, int], *, score: float = 5.0, time: float = 1.0) -> Recalled:
    """As many reused scores of each category, all the same."""
    sums = {name: n * score for name, n in counts.items()}
    squares = {name: n * score**2 for name, n in counts.items()}
    return Recalled(time, dict(counts), sums, squares)


def in_parts(pairs: int = 3) -> Iterator[Event]:
    """Edits of one category that are made in parts, a second each."""
    clock = 0.0
    yield started({"physical": pairs})
    yield Planned(0.0, "in parts", 1, 2, 2 * pairs, "")
    for number, part in enumerate(("encode", "denoise", "decode")):
        if number == 1:
            yield Swapped(clock, f"{EDITOR} encode", f"{EDITOR} denoise", GB, 1.0, 1)
        yield PhaseStarted(clock, "edit", 1, pairs, part)
        for pair in range(pairs):
            clock += 1
            if part == "decode":
                yield Edited(clock, f"p{pair}", "physical", 1.0, 64, 64)
            else:
                yield Advanced(clock, f"p{pair}", "physical", 1.0, part, 3)
        yield PhaseEnded(clock, "edit", 1, pairs, 0, float(pairs), float(pairs), part)


def a_run() -> Iterator[Event]:
    """Two failures: one edit of ``social`` and one reply in ``physical``."""
    yield started(edits={"physical": 2}, scores={"physical": 1})
    yield Planned(0, "phased", 1, 1, 36, "")
    yield Loading(1, EDITOR, 41 * GB)
    yield Loaded(20, EDITOR, 41 * GB, 19.0)
    yield Swapping(20, "", EDITOR, 41 * GB)
    yield Swapped(25, "", EDITOR, 41 * GB, 5.0, 0)
    yield PhaseStarted(25, "edit", 1, 18)
    yield memory(25)
    time = 25.0
    names = [name for name in CATEGORIES for _ in range(4)][2:]
    for number, name in enumerate(names):
        time += 10
        if number == len(names) - 1:
            yield Retrying(time, "edit", f"p{number}", "out of memory", 1)
            yield Failed(time, "edit", f"p{number}", name, "edit_failed", "out of memory")
        else:
            yield Edited(time, f"p{number}", name, 10.0, 1024, 832)
    yield PhaseEnded(time, "edit", 1, 17, 1, 180.0, 170.0)
    yield Swapping(time, EDITOR, JUDGE, 17 * GB)
    yield Moving(time + 20, JUDGE, 8 * GB, 17 * GB)
    time += 40
    yield Swapped(time, EDITOR, JUDGE, 17 * GB, 40.0, 1)
    yield PhaseStarted(time, "score", 1, 18)
    yield memory(time, JUDGE)
    for number, name in enumerate(["physical", *names[:-1]]):
        time += 2
        yield scored(time, f"p{number}", name, None if number == 0 else float(number % 11))
    yield PhaseEnded(time, "score", 1, 18, 0, 36.0, 36.0)
    yield RunEnded(
        time, "ok", time, 1, {"overall": {"n": 18, "pairs": 20, "mean": 4.5, "interval": [4, 4.9]}}
    )


def state_after(count: int = 10**6) -> State:
    """The state after the first ``count`` events of ``a_run``."""
    state = fold(list(a_run())[:count])
    assert state is not None
    return state


def drawn(picture: RenderableType, width: int, *, ascii_only: bool = False) -> list[str]:
    """The lines that a terminal of this width would show, were it endless."""
    console = Console(
        file=io.TextIOWrapper(io.BytesIO(), "ascii") if ascii_only else io.StringIO(),
        width=width,
        color_system=None,
        force_terminal=True,
        legacy_windows=False,
    )
    lines = console.render_lines(picture, pad=False)
    return ["".join(segment.text for segment in line if not segment.control) for line in lines]


times = st.floats(0, 10**6)
seconds = st.floats(0, 10**5)
names = st.sampled_from(["a", "社会", "[b]", "e\x1b[31m", "long " * 30, "new\nline"])
counts = st.integers(0, 10**6)
sizes = st.integers(0, 10**13)
scores = st.floats(0, 10)

events = st.one_of(
    st.builds(started, st.dictionaries(names, counts), time=times),
    st.builds(Planned, times, names, counts, counts, counts, names),
    st.builds(Loading, times, names, sizes),
    st.builds(Loaded, times, names, sizes, seconds),
    st.builds(Swapping, times, names, names, sizes),
    st.builds(Moving, times, names, sizes, sizes),
    st.builds(recalled, st.dictionaries(names, counts)),
    st.builds(Swapped, times, st.just("") | names, names, sizes, seconds, counts),
    st.builds(PhaseStarted, times, st.sampled_from(["edit", "score"]), counts, counts),
    st.builds(
        PhaseEnded, times, st.sampled_from(["edit", "score"]), counts, counts, counts, times, times
    ),
    st.builds(Edited, times, names, names, seconds, counts, counts),
    st.builds(scored, times, names, names, scores | st.none()),
    st.builds(Failed, times, st.sampled_from(["edit", "score"]), names, names, names, names),
    st.builds(Retrying, times, st.sampled_from(["edit", "score"]), names, names, counts),
    st.builds(
        Memory, times, names, sizes, sizes, sizes, sizes, sizes, sizes, st.lists(names).map(tuple)
    ),
    st.builds(Notice, times, st.sampled_from(["info", "warning", "error"]), names),
    st.builds(Stopping, times, st.booleans()),
    st.builds(
        RunEnded,
        times,
        st.sampled_from(["ok", "failed", "stopped"]),
        seconds,
        counts,
        st.just({}),
    ),
)
runs = st.builds(lambda rest: [started(), *rest], st.lists(events, max_size=40))
