"""What a display knows of a run, folded from the engine's events. Pure: no clock, no terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from editbench.cli.progress import Mean, Progress
from editbench.cli.text import duration, middle
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
    Phase,
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
from editbench.units import format_bytes

LINES = 10  #: of what happened last, kept


class Doing(NamedTuple):
    """What keeps the device from working."""

    what: Literal["load", "swap"]
    model: str
    bytes: int
    since: float
    done: int = 0  #: bytes


class Line(NamedTuple):
    """Something worth a line."""

    time: float
    what: str
    text: str


@dataclass(frozen=True, slots=True)
class Category:
    """How far one category is."""

    total: int
    edited: int = 0
    scored: int = 0
    failed: int = 0
    mean: Mean = field(default_factory=Mean)


@dataclass(frozen=True, slots=True)
class State:
    """All that a display shows."""

    run: str
    folder: str
    suite: str
    editor: str
    judge: str
    notes: tuple[str, ...]
    started: float
    now: float
    edit: Progress
    score: Progress
    categories: Mapping[str, Category]
    reused_scores: Mapping[str, int]
    plan: Planned | None = None
    batch: int = 0  #: phase batch, from 1
    part: str = ""  #: of the edits that is going on, if they are made in parts
    turn: Progress | None = None  #: how far that part is
    advanced: int = 0  #: parts done in this session, the last ones of edits left out
    parts: int = 1  #: that an edit consists of
    at_once: bool = False  #: both phases go on at the same time
    swaps: int = 0
    swaps_planned: int = 0  #: those made before a second plan included
    swap_seconds: tuple[float, ...] = ()
    doing: Doing | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)  #: bytes of the models loaded so far
    recalled: bool = False  #: means hold the scores of earlier sessions
    memory: Memory | None = None
    mean: Mean = field(default_factory=Mean)
    lines: tuple[Line, ...] = ()
    stopping: Stopping | None = None
    ended: RunEnded | None = None

    @property
    def steps(self) -> int:
        """Edits and scores that the run consists of."""
        return self.edit.total + self.score.total

    @property
    def steps_done(self) -> int:
        return self.steps - self.edit.left - self.scores_left

    @property
    def share(self) -> float:
        """How much of the run is done, from 0 to 1; edits that are made in parts count in parts."""
        halfway = max(0, self.advanced - (self.parts - 1) * self.edit.done) / self.parts
        return (self.steps_done + halfway) / self.steps if self.steps else 1.0

    @property
    def editing(self) -> Progress:
        """How far the edits are, or the part of them that is going on."""
        return self.turn or self.edit

    @property
    def scores_left(self) -> int:
        return max(0, self.score.left - self.edit.failed)

    @property
    def failed(self) -> int:
        return self.edit.failed + self.score.failed

    @property
    def elapsed(self) -> float:
        return max(0.0, self.now - self.started)

    @property
    def swaps_left(self) -> int:
        return max(0, self.swaps_planned - self.swaps)

    @property
    def swap_seconds_left(self) -> float | None:
        if not self.swaps_left:
            return 0.0
        expected = self.plan.expected.get("swap") if self.plan else None
        usual = middle(self.swap_seconds) if self.swap_seconds else expected
        return None if usual is None else usual * self.swaps_left

    @property
    def until_swap(self) -> tuple[int, Phase] | None:
        """Items until the next swap and the phase that they belong to; None if there is none."""
        phases: tuple[tuple[Phase, Progress], ...] = (("edit", self.editing), ("score", self.score))
        for phase, progress in phases:
            if self.swaps_left and not self.at_once and progress.since is not None:
                return progress.due, phase
        return None

    @property
    def means_are_new(self) -> bool:
        """Whether means leave out what earlier sessions scored."""
        return bool(self.score.reused) and not self.recalled

    @property
    def time_left(self) -> tuple[float, bool] | None:
        """Seconds, and whether every part of them is known; None if nothing is."""
        parts = [self.edit.seconds_left, self.score.seconds_for(self.scores_left)]
        known = [part for part in parts if part is not None]
        phases = (max if self.at_once else sum)(known) if known else 0.0
        swaps = self.swap_seconds_left
        seconds = phases + (swaps or 0.0)
        sure = len(known) == len(parts) and swaps is not None
        return (seconds, sure) if seconds or sure else None


def update(state: State | None, event: Event) -> State | None:
    """Return the state after an event; None until the run has started."""
    if isinstance(event, RunStarted):
        return _start(event)
    if state is None:
        return None
    state = replace(state, now=max(state.now, event.time))
    match event:
        case Planned():
            return _planned(state, event)
        case Loading():
            return replace(state, doing=Doing("load", event.model, event.bytes, event.time))
        case Loaded():
            text = f"{event.model}  {format_bytes(event.bytes)} in {duration(event.seconds)}"
            sizes = {**state.sizes, event.model: event.bytes}
            return _note(replace(state, doing=None, sizes=sizes), event, "load", text)
        case Swapping():
            return replace(state, doing=Doing("swap", event.new, event.bytes, event.time))
        case Moving():
            return replace(state, doing=state.doing and state.doing._replace(done=event.done))
        case Swapped():
            return _swapped(state, event)
        case PhaseStarted():
            both = _other(state, event.phase).since is not None
            state = replace(state, batch=event.batch, at_once=state.at_once or both, doing=None)
            progress = _phase(state, event.phase).start(event.time, event.items)
            if event.phase == "edit":
                turn = Progress(event.items).start(event.time, event.items) if event.part else None
                state = replace(state, part=event.part, turn=turn)
            return _set(state, event.phase, progress)
        case PhaseEnded():
            if event.phase == "edit":
                state = replace(state, part="", turn=None)
            return _set(state, event.phase, _phase(state, event.phase).end(event.time))
        case Advanced():
            state = _turn(state, event.time, event.seconds)
            text = f"{event.pair}  {duration(event.seconds)}"
            state = replace(state, advanced=state.advanced + 1, parts=event.parts)
            return _note(state, event, event.part, text)
        case Edited():
            text = f"{event.pair}  {duration(event.seconds)}  {event.width}x{event.height}"
            state = _finish(state, "edit", event.category, event.time, event.seconds)
            return _note(state, event, "edit", text)
        case Scored():
            return _scored(state, event)
        case Recalled():
            return _recalled(state, event)
        case Failed():
            state = _finish(state, event.phase, event.category, event.time, None, failed=True)
            return _note(state, event, "failed", f"{event.pair}  {event.state}: {event.message}")
        case Retrying():
            more = f", {event.batch} at a time" if event.batch > 1 else ""
            return _note(state, event, "retry", f"{event.pair}  {event.message}{more}")
        case Memory():
            return replace(state, memory=event)
        case Notice():
            what = "note" if event.level == "info" else event.level
            return _note(state, event, what, event.message)
        case Stopping():
            return replace(state, stopping=event)
        case RunEnded():
            return replace(state, ended=event, doing=None)
        case _:
            return state


def fold(events: Iterable[Event]) -> State | None:
    """Return the state after all events of a run."""
    state: State | None = None
    for event in events:
        state = update(state, event)
    return state


def _start(event: RunStarted) -> State:
    total = sum(event.categories.values())
    return State(
        run=event.run,
        folder=event.folder,
        suite=event.suite,
        editor=event.editor,
        judge=event.judge,
        notes=tuple(event.notes),
        started=event.time,
        now=event.time,
        edit=Progress(total, reused=sum(event.reused_edits.values())),
        score=Progress(total, reused=sum(event.reused_scores.values())),
        categories={
            name: Category(count, event.reused_edits.get(name, 0), event.reused_scores.get(name, 0))
            for name, count in event.categories.items()
        },
        reused_scores=event.reused_scores,
    )


def _phase(state: State, phase: Phase) -> Progress:
    return state.edit if phase == "edit" else state.score


def _other(state: State, phase: Phase) -> Progress:
    return state.score if phase == "edit" else state.edit


def _set(state: State, phase: Phase, progress: Progress) -> State:
    return replace(state, edit=progress) if phase == "edit" else replace(state, score=progress)


def _note(state: State, event: Event, what: str, text: str) -> State:
    return replace(state, lines=(*state.lines, Line(event.time, what, text))[-LINES:])


def _planned(state: State, event: Planned) -> State:
    return replace(
        state,
        plan=event,
        swaps_planned=state.swaps + event.swaps,
        edit=replace(state.edit, expected=event.expected.get("edit")),
        score=replace(state.score, expected=event.expected.get("score")),
    )


def _recalled(state: State, event: Recalled) -> State:
    """Add what is reused to the means; a reused reply without a number counts as failed."""
    categories = dict(state.categories)
    mean, failed = state.mean, 0
    for name, n in event.counts.items():
        category = categories.get(name) or Category(0)
        old = Mean.of(n, event.sums[name], event.squares[name])
        unread = max(0, state.reused_scores.get(name, 0) - n)
        categories[name] = replace(
            category,
            scored=category.scored - unread,
            failed=category.failed + unread,
            mean=category.mean.join(old),
        )
        mean, failed = mean.join(old), failed + unread
    score = replace(
        state.score, reused=state.score.reused - failed, failed=state.score.failed + failed
    )
    return replace(state, categories=categories, mean=mean, score=score, recalled=True)


def _swapped(state: State, event: Swapped) -> State:
    state = replace(state, doing=None)
    rate = f" at {format_bytes(event.bytes / event.seconds)}/s" if event.seconds > 0 else ""
    moved = f"{format_bytes(event.bytes)} in {duration(event.seconds)}{rate}"
    if not event.old:
        return _note(state, event, "device", f"{event.new}  {moved}")
    seconds = (*state.swap_seconds, event.seconds)
    state = replace(state, swaps=event.number, swap_seconds=seconds)
    return _note(state, event, "swap", f"{event.old} -> {event.new}  {moved}")


def _scored(state: State, event: Scored) -> State:
    failed = event.state != "ok"
    state = _finish(state, "score", event.category, event.time, event.seconds, failed=failed)
    if event.overall is None:
        return _note(state, event, "failed", f"{event.pair}  {event.state}")
    category = state.categories[event.category]
    category = replace(category, mean=category.mean.add(event.overall))
    state = replace(
        state,
        mean=state.mean.add(event.overall),
        categories={**state.categories, event.category: category},
    )
    text = f"{event.pair}  {event.overall:.2f}  {duration(event.seconds)}"
    return _note(state, event, "score", text)


def _finish(
    state: State,
    phase: Phase,
    name: str,
    time: float,
    seconds: float | None,
    *,
    failed: bool = False,
) -> State:
    category = state.categories.get(name) or Category(0)
    if failed:
        category = replace(category, failed=category.failed + 1)
    elif phase == "edit":
        category = replace(category, edited=category.edited + 1)
    else:
        category = replace(category, scored=category.scored + 1)
    progress = _phase(state, phase).finish(time, seconds, failed=failed)
    if phase == "edit":
        state = _turn(state, time, seconds, failed=failed)
    state = replace(state, categories={**state.categories, name: category})
    return _set(state, phase, progress)


def _turn(state: State, time: float, seconds: float | None, *, failed: bool = False) -> State:
    turn = state.turn and state.turn.finish(time, seconds, failed=failed)
    return replace(state, turn=turn)
