"""Keeps the dashboard on the terminal up to date."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live

from editbench.cli.dashboard import view
from editbench.cli.messages import say
from editbench.cli.state import State, update
from editbench.cli.text import inert, plain
from editbench.engine.events import Checking, Event, Notice

IDLE = 1.0  #: seconds between frames while nothing happens


class LiveDashboard:
    """Draws the dashboard whenever it is told to and something changed."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.time) -> None:
        self._console = console
        self._clock = clock
        self._state: State | None = None
        self._changed = False
        self._drawn = 0.0
        self._title = ""
        self._before = inert("opening the suite")
        self._live = Live(
            console=console, auto_refresh=False, transient=True, vertical_overflow="crop"
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()
        if self._title:
            self._console.set_window_title("")

    def __call__(self, event: Event) -> None:
        """Take an event; it is drawn at the next tick."""
        if isinstance(event, Notice) and (event.level != "info" or self._state is None):
            # Above the dashboard, where it is still to be read after the run.
            say(self._console, "note" if event.level == "info" else event.level, event.message)
        if isinstance(event, Checking):
            done = event.done >= event.total
            text = "checked, preparing the models" if done else "checking"
            self._before = inert(f"{event.suite}: {event.done} of {event.total} pairs {text}")
        self._state = update(self._state, event)
        self._changed = True

    def tick(self) -> None:
        """Draw a frame if something changed or a second passed."""
        now = self._clock()
        if not (self._changed or now - self._drawn >= IDLE):
            return
        self._changed, self._drawn = False, now
        if self._state is None:
            self._live.update(self._before, refresh=True)
            return
        state = replace(self._state, now=max(now, self._state.now))
        width, height = self._console.size
        # One row less than there is: a taller frame scrolls, and is drawn over and over.
        self._live.update(view(state, width, height - 1), refresh=True)
        self._entitle(state)

    def _entitle(self, state: State) -> None:
        share = state.steps_done / state.steps if state.steps else 1.0
        title = f"editbench {share:.0%} {plain(state.run)}"
        if title != self._title:
            self._title = title
            self._console.set_window_title(title)
