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
            holder = self._read()
            os.close(self._file)
            raise RunLocked(
                f"another process holds this run: {holder or 'it has only just begun'}",
                hint="wait for it, follow it with editbench show, or choose another --name",
            ) from None
        self.stale = self._read()
        os.ftruncate(self._file, 0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        os.pwrite(self._file, json.dumps({"pid": os.getpid(), "since": since}).encode(), 0)
        return self

    def _read(self) -> str:
        try:
            held = json.loads(os.pread(self._file, 4096, 0))
            return f"pid {held['pid']}, since {held['since']}"
        except (ValueError, KeyError, TypeError):
            return ""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.ftruncate(self._file, 0)  # an empty file is an orderly end; the lock goes with the file
        os.close(self._file)
