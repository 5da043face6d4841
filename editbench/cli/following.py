"""Follows a run that another process carries out, through the events that it leaves."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from editbench.api import running
from editbench.cli.commands import Screen
from editbench.cli.dashboard import FOLLOWING
from editbench.cli.displays import choose, opened
from editbench.cli.messages import say
from editbench.cli.modes import Mode
from editbench.cli.signals import INTERRUPTED
from editbench.engine.events import Event, RunEnded, from_json

if TYPE_CHECKING:
    from editbench.api import RunResult

TICK = 0.25  #: seconds between two looks at the file


def follow(result: RunResult, screen: Screen, mode: Mode) -> int:
    """Show a run as it goes on, from where its present session began, until it ends.

    Ctrl-C ends the looking, not the run. Returns the exit code.
    """
    mode = choose(mode, screen.err, os.environ, quiet=False, verbose=screen.verbose > 0)
    ended: RunEnded | None = None
    with _interrupts() as interrupts, opened(mode, screen.err, helps=FOLLOWING) as display:
        for event in _events(result):
            if interrupts:
                break
            if event is None:
                display.tick()
                time.sleep(TICK)
            else:
                display(event)
                ended = event if isinstance(event, RunEnded) else None
    if interrupts and not ended:
        say(screen.err, "note", f"{result.name} goes on", f"editbench show {result.name} --follow")
        return INTERRUPTED
    if ended and ended.status == "ok":
        return 0
    how = f"ended: {ended.status}" if ended else "was cut off"
    say(screen.err, "note", f"{result.name} {how}", f"editbench resume {result.name}")
    return 0


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Collect Ctrl-C. Raised, it would be lost wherever the interpreter ignores exceptions."""
    received: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)


def _events(result: RunResult) -> Iterator[Event | None]:
    """Yield the events of the latest session as they are written; None when there is no news."""
    path = result.folder / "events.jsonl"
    while not path.exists() and running(result):
        yield None
    if not path.exists():
        return
    with path.open("rb") as stream:
        stream.seek(_latest_start(path))
        rest = b""
        while True:
            live = running(result)  # asked first: what is written before the end is read after it
            new = stream.read()
            *lines, rest = (rest + new).split(b"\n")
            for line in lines:
                if event := from_json(json.loads(line)):
                    yield event
            if not new and not live:
                return
            if not new:
                yield None


def _latest_start(path: Path) -> int:
    """Return where the line of the latest session's start begins."""
    start = offset = 0
    with path.open("rb") as stream:
        for line in stream:
            if line.startswith(b'{"event": "run.start"'):
                start = offset
            offset += len(line)
    return start
