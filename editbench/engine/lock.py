"""Keeps a run to one process at a time."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from editbench.errors import RunLocked

NAME = "lock"


def holder(folder: Path) -> str:
    """Return which process holds a run's folder, and since when; empty if none does."""
    try:
        file = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        if not os.fstat(file).st_size:  # then not even for a moment is the lock in another's way
            return ""
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return ""
    except BlockingIOError:
        return _written(file) or "another process"
    finally:
        os.close(file)


def _written(file: int) -> str:
    try:
        held = json.loads(os.pread(file, 4096, 0))
        return f"pid {held['pid']}, since {held['since']}"
    except (ValueError, KeyError, TypeError):
        return ""


class RunLock:
    """Holds a run's folder for the length of a block.

    The kernel's lock decides, and goes with the process that held it however that ended; the pid in
    the file is for people. ``stale`` is what a process that was killed left behind.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self.stale: str = ""

    def __enter__(self) -> Self:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            name = _written(self._file)
            os.close(self._file)
            raise RunLocked(
                f"another process holds this run: {name or 'it has only just begun'}",
                hint="wait for it, follow it with editbench show, or choose another --name",
            ) from None
        self.stale = _written(self._file)
        os.ftruncate(self._file, 0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        os.pwrite(self._file, json.dumps({"pid": os.getpid(), "since": since}).encode(), 0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.ftruncate(self._file, 0)  # an empty file is an orderly end; the lock goes with the file
        os.close(self._file)
