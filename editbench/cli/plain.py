"""A run as lines of text: one fact a line, no cursor control, for logs and pipes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.text import Text

from editbench.cli.progress import Progress
from editbench.cli.state import State, update
from editbench.cli.text import counted, duration, mean_and_margin, number, of_bytes, plain
from editbench.cli.wording import describe_doing, describe_reading, describe_start
from editbench.engine.events import (
    Advanced,
    Checking,
    Edited,
    Event,
    Failed,
    Loaded,
    Notice,
    Phase,
    PhaseStarted,
    Planned,
    Reading,
    Retrying,
    RunEnded,
    RunStarted,
    Scored,
    Stopping,
    Swapped,
)

EVERY = 30.0  #: seconds between lines on progress, at least
SHARE = 0.05  #: of a phase between them, at least
SILENCE = 60.0  #: seconds after which a line says that it goes on


class PlainLines:
    """Writes a line for every event that is worth one, and at most one in a while for progress."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.time) -> None:
        self._console = console
        self._clock = clock
        self._state: State | None = None
        self._last = clock()  #: when a line was written
        self._reading = ""  #: model whose weights are being read
        self._told: dict[Phase, tuple[float, int]] = {}  #: when and at what count, for each phase

    def __call__(self, event: Event) -> None:
        """Take an event."""
        self._state = update(self._state, event)
        if self._state is None:
            self._before(event)
            return
        for what, text in self._lines(self._state, event):
            self._write(event.time, what, text)

    def tick(self) -> None:
        """Break a long silence. To be called now and then."""
        now = self._clock()
        if self._state and not self._state.ended and now - self._last >= SILENCE:
            self._write(now, "still", self._still(self._state, now))

    def _before(self, event: Event) -> None:
        """Tell of what precedes the run, such as a suite that takes minutes to check."""
        if isinstance(event, Notice):
            self._write(event.time, "note" if event.level == "info" else event.level, event.message)
        elif isinstance(event, Reading):
            if event.model != self._reading or event.time - self._last >= EVERY:
                self._reading = event.model
                self._write(event.time, "read", describe_reading(event))
        elif isinstance(event, Checking) and event.time - self._last >= EVERY:
            self._write(event.time, "check", f"{event.suite}  {event.done}/{event.total} pairs")

    def _still(self, state: State, now: float) -> str:
        if state.doing:
            return describe_doing(replace(state, now=now))
        phase: Phase = "score" if state.score.since is not None else "edit"
        return f"{_named(state, phase)}  {_progress(state, phase)}"

    def _lines(self, state: State, event: Event) -> Iterator[tuple[str, str]]:
        match event:
            case RunStarted():
                yield "run", f"{state.suite}  {state.run}  {describe_start(state)}"
                yield "models", f"{state.editor} -> {state.judge}"
                yield from (("note", note) for note in state.notes)
            case Planned():
                yield "plan", _plan(event)
            case PhaseStarted():
                self._told[event.phase] = (event.time, _progress_of(state, event.phase).finished)
                what = event.part or event.phase
                yield what, f"batch {event.batch} starts, {counted(event.items, 'item')}"
            case Edited() | Scored() | Advanced():
                phase: Phase = "score" if isinstance(event, Scored) else "edit"
                if isinstance(event, Scored) and event.overall is None:
                    yield "failed", f"{event.pair}  {event.state}"
                if self._is_due(state, phase, event.time):
                    yield _named(state, phase), _progress(state, phase)
            case Loaded() | Swapped() | Retrying() | Failed() | Notice():
                line = state.lines[-1]
                yield line.what, line.text
            case Stopping():
                when = "at the next step" if event.now else "after the items on the device"
                yield "stop", f"stopping {when}"
            case RunEnded():
                yield "done", _end(state, event)

    def _is_due(self, state: State, phase: Phase, now: float) -> bool:
        progress = _progress_of(state, phase)
        since, count = self._told.setdefault(phase, (now, progress.finished))
        is_rare = now - since >= EVERY and progress.finished - count >= SHARE * progress.total
        is_last = not progress.left
        if is_rare or is_last:
            self._told[phase] = (now, progress.finished)
        return is_rare or is_last

    def _write(self, when: float, what: str, text: str) -> None:
        self._last = when
        clock = time.strftime("%H:%M:%S", time.localtime(when))
        line = Text(f"{clock} {what:<7} {plain(text)}".rstrip())
        self._console.print(line, soft_wrap=True)


def _progress_of(state: State, phase: Phase) -> Progress:
    return state.editing if phase == "edit" else state.score


def _named(state: State, phase: Phase) -> str:
    return (state.part or phase) if phase == "edit" else phase


def _progress(state: State, phase: Phase) -> str:
    progress = _progress_of(state, phase)
    share = progress.finished / progress.total if progress.total else 1.0
    rate = progress.rate
    facts = [
        f"{progress.finished}/{progress.total}",
        f"{share:.0%}",
        f"{number(rate and rate * 60, 1)}/min",
    ]
    if progress.left:
        facts.append(f"left {duration(progress.seconds_left, about=True)}")
    if memory := state.memory:
        facts.append(f"{memory.device} {of_bytes(memory.device_used, memory.device_limit)}")
        facts.append(f"host {of_bytes(memory.host_used, memory.host_limit)}")
    return "  ".join([*facts, f"failed {state.failed}"])


def _plan(event: Planned) -> str:
    batches = "1 batch" if event.batches == 1 else f"{event.batches} batches"
    swaps = counted(event.swaps, "swap")
    return f"{event.placement}, {batches}, {swaps} ({event.naive_swaps} pair by pair)"


def _end(state: State, event: RunEnded) -> str:
    overall = event.summary.get("overall") if event.summary else None
    facts: list[str] = [event.status]
    if overall:
        facts.append(f"{overall['n']}/{overall['pairs']} scored")
        facts.append(f"{overall['pairs'] - overall['n']} failed")
        facts.append(f"overall {_overall(overall)}")
    else:
        edits, scores = state.edit.finished, state.score.finished
        facts.append(f"{counted(edits, 'edit')} and {counted(scores, 'score')} are stored")
        mean = state.mean
        facts.append(f"mean so far {mean_and_margin(mean.value if mean.n else None, mean.margin)}")
    naive = f" ({state.plan.naive_swaps} pair by pair)" if state.plan else ""
    swaps = counted(event.swaps, "swap") + naive
    return "  ".join([*facts, duration(event.seconds), swaps])


def _overall(row: Mapping[str, Any]) -> str:
    mean, interval = row["mean"], row.get("interval")
    # The longer arm, as in the table: the scale may clip the other.
    return mean_and_margin(mean, interval and max(abs(end - mean) for end in interval))
