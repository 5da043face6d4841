"""Named instants at which a process ends itself as ``kill -9`` would: nothing is flushed or closed.

Only what cannot be seen from outside is here; after an event, whoever reads it kills.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from editbench.records import Outcome

REPLACED = ("run.toml", "env.json", "items.jsonl", "summary.json", "report.md")
NAMES = (
    "in load",  # a model is being read
    "in edit",  # a step of the editor is half done
    "in ask",  # a step of the judge is half done
    "create",  # a value file is about to be made
    "sync",  # it is written, but not on the disk
    "synced",  # it is on the disk, but has no row
    "line",  # a line of items.jsonl is about to be written
    *(f"replace {name}" for name in REPLACED),  # the new file is written, the old one in its place
)
IN_PART = "in part"  # a part of an edit is half done, for an editor that works in parts

_wanted: tuple[str, int] = ("", 0)
_seen: Counter[str] = Counter()
_lock = threading.Lock()


def reach(name: str) -> None:
    """Say that a point is reached; at the wanted one this does not return."""
    with _lock:
        _seen[name] += 1
        if (name, _seen[name]) == _wanted:
            os.kill(os.getpid(), signal.SIGKILL)


def arm(name: str, count: int) -> None:
    """End this process when it reaches a point for the ``count``-th time."""
    global _wanted
    _wanted = (name, count)
    if name:
        sys.addaudithook(_watch)
        _watch_syncs()
        _watch_lines()


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and str(args[0]).endswith(".val") and args[2] & os.O_CREAT:
        reach("create")
    elif event == "os.rename":
        reach(f"replace {Path(os.fsdecode(args[1])).name}")


def _watch_syncs() -> None:
    sync = os.fdatasync

    def watched(file: int) -> None:
        reach("sync")
        sync(file)
        reach("synced")

    os.fdatasync = watched


def _watch_lines() -> None:
    from editbench.report import files

    to_line = files.to_line

    def watched(outcome: Outcome) -> str:
        reach("line")
        return to_line(outcome)

    files.to_line = watched
