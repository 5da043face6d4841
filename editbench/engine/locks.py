"""Advisory locks between processes, held by a file that is never removed."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from editbench.errors import StoreError

_POLL_SECONDS = 0.01


class Held(StoreError):
    """Another process has kept the lock for longer than we wait."""


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold a lock together with others, waiting for whoever has it ``alone``.

    Raises ``OSError`` where the file cannot be made, ``StoreError`` where it cannot be locked.
    """
    file = _open(path)
    try:
        _flock(file, fcntl.LOCK_SH, path)
        yield
    finally:
        os.close(file)  # which also lets go of the lock


@contextmanager
def alone(path: Path, *, seconds: float) -> Iterator[None]:
    """Hold a lock alone, waiting at most so long; raises ``Held`` after that.

    Raises ``OSError`` and ``StoreError`` as ``shared`` does.
    """
    file = _open(path)
    try:
        deadline = time.monotonic() + seconds
        while not _flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB, path):
            if time.monotonic() > deadline:
                raise Held(
                    f"{path} has been held by another process for {seconds:.0f} s",
                    hint="wait for the other run, or stop it",
                )
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(file)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _flock(file: int, how: int, path: Path) -> bool:
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        return False
    except OSError as exc:
        if exc.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        raise StoreError(
            f"{path} cannot be locked: {exc.strerror}", hint="put the store on a local disk"
        ) from exc
    return True
