"""Keeps the dashboard on the terminal up to date, from a thread of its own.

A terminal can make who writes to it wait, for hours if it is at the end of a lost connection or was
paused. The event loop, and with it the device, must not wait with it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread, current_thread, main_thread
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import RenderableType

from editbench.cli.dashboard import HELPS, view
from editbench.cli.graphics import kitty_gone
from editbench.cli.messages import say
from editbench.cli.modes import Thumbnails
from editbench.cli.painter import Painter
from editbench.cli.state import State, update
from editbench.cli.streams import Aside
from editbench.cli.terminal import Terminal
from editbench.cli.text import inert, plain
from editbench.cli.thumbnails import Cell, Pair, method
from editbench.cli.title import Title
from editbench.cli.wording import describe_reading
from editbench.engine.events import Checking, Event, Notice, Reading

if TYPE_CHECKING:
    from PIL.Image import Image

OUTPUT = "output.log"  #: what libraries printed while the terminal was the dashboard's
IDLE = 1.0  #: seconds between frames while nothing happens
PATIENCE = 2.0  #: seconds that a terminal gets to take the last frame


class LiveDashboard:
    """Draws the dashboard whenever it is told to and something changed."""

    def __init__(
        self,
        console: Terminal,
        *,
        clock: Callable[[], float] = time.time,
        environ: Mapping[str, str] = os.environ,
        aside: Aside | None = None,
        thumbnails: Thumbnails = Thumbnails.OFF,
        helps: Sequence[str] = HELPS,
    ) -> None:
        self._console = console
        self._clock = clock
        self._helps = helps
        self._aside = aside
        self._painter = Painter(console)
        self._title = Title(self._painter.write, environ)
        self._method = method(thumbnails, console, environ)
        self._pair: Pair | None = None
        self._size = console.window()
        self._state: State | None = None
        self._before = inert("opening the suite")
        self._changed = True
        self._drawn = 0.0
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread = Thread(target=self._serve, name="terminal", daemon=True)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._console.push_render_hook(self._painter)
        self._stack.callback(self._console.pop_render_hook)
        if current_thread() is main_thread():
            # After a pause by ctrl-z, the shell has written where the frame was.
            before = signal.signal(signal.SIGCONT, lambda *_: self._painter.forget())
            self._stack.callback(signal.signal, signal.SIGCONT, before)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._jobs.put(self._leave)
        self._jobs.put(None)
        self._thread.join(PATIENCE)
        self._stack.close()

    def __call__(self, event: Event) -> None:
        """Take an event; it is drawn at the next tick."""
        if isinstance(event, Notice) and (event.level != "info" or self._state is None):
            # Above the dashboard, where it is still to be read after the run.
            level = "note" if event.level == "info" else event.level
            self._jobs.put(partial(say, self._console, level, event.message))
        if isinstance(event, Reading):
            self._before = inert(describe_reading(event))
        elif isinstance(event, Checking):
            done = event.done >= event.total
            text = "checked, preparing the models" if done else "checking"
            self._before = inert(f"{event.suite}: {event.done} of {event.total} pairs {text}")
        self._state = update(self._state, event)
        self._changed = True

    def keep_output(self, folder: Path) -> None:
        """Have what others print go to a file in a run's folder."""
        if self._aside:
            self._aside.go_on_in(folder / OUTPUT)

    @property
    def wants_pictures(self) -> bool:
        """Whether ``show`` has any effect."""
        return self._method is not Thumbnails.OFF

    def show(self, name: str, source: Image, edit: Image) -> None:
        """Take the pictures of a pair; they are drawn at the next tick, if there is room."""
        cell = self._console.cell()
        self._pair = Pair(name, source, edit, self._method, Cell(*cell) if cell else Cell())
        self._changed = True

    def tick(self) -> None:
        """Have a frame drawn, unless one is waiting for the terminal already."""
        if self._jobs.empty():
            self._jobs.put(self.draw)

    def draw(self) -> None:
        """Draw a frame if something changed or a second passed."""
        now = self._clock()
        if not (self._changed or now - self._drawn >= IDLE):
            return
        self._changed, self._drawn = False, now
        width, height = self._console.window()
        state = self._state and replace(self._state, now=max(now, self._state.now))
        # One row less than there is: a taller frame would scroll away under the next one.
        frame: RenderableType = (
            view(state, width, height - 1, self._pair, helps=self._helps) if state else self._before
        )
        if self._size != (width, height):
            self._size = (width, height)
            self._remove_pictures()
        self._painter.draw(frame, (width, height))
        if state:
            name = f"editbench {state.share:.0%} {plain(state.run)}"
            self._title.show(name, state.share, now=now)

    def _remove_pictures(self) -> None:
        if self._method is Thumbnails.KITTY:
            self._painter.write(kitty_gone(2))

    def _leave(self) -> None:
        self._remove_pictures()
        self._painter.clear()
        self._title.restore()

    def _serve(self) -> None:
        # A terminal that is gone takes no frames; the run needs none.
        with suppress(OSError):
            while job := self._jobs.get():
                job()
