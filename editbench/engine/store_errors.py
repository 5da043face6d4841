"""Turns the errors of SQLite, diskcache and the disk into ``StoreError`` and ``StoreFull``."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import diskcache

from editbench.errors import StoreError, StoreFull

# The last is for statements that make no sense. Ours do, so it is the schema that does not.
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


@contextmanager
def translated(doing: str, path: Path) -> Iterator[None]:
    """Raise our error in place of a library's, keeping it as the cause."""
    try:
        yield
    except (OSError, sqlite3.Error, UnicodeDecodeError, diskcache.Timeout) as exc:
        raise as_store_error(exc, doing, path) from exc


def as_store_error(exc: BaseException, doing: str, path: Path) -> StoreError:
    """Return the error that says what could not be done to ``path``, and what helps."""
    if isinstance(exc, diskcache.Timeout) and exc.__context__ is not None:
        exc = exc.__context__  # diskcache calls every failure to begin a timeout
    if is_full(exc):
        return StoreFull(
            f"the disk of {path.parent} is full; everything stored is safe",
            hint="make room and run the same command again",
        )
    if is_locked(exc):
        hint = "another process keeps it locked: wait for it, or stop it"
    elif is_damaged(exc):
        hint = "run the command again: a damaged index is rebuilt when the store is opened"
    else:
        hint = "check the disk; what is stored was not changed"
    return StoreError(f"could not {doing} {path}: {exc}", hint=hint)


def is_full(exc: BaseException) -> bool:
    """Tell whether an error means that the disk has no room."""
    if isinstance(exc, sqlite3.Error):
        code = getattr(exc, "sqlite_errorcode", 0)
        return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
    return isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT)


def is_unwritable(exc: BaseException) -> bool:
    """Tell whether an error means that the disk can be read at most."""
    if isinstance(exc, sqlite3.Error):
        return _code(exc) in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
    return isinstance(exc, OSError) and exc.errno in (errno.EROFS, errno.EACCES, errno.EPERM)


def is_locked(exc: BaseException) -> bool:
    """Tell whether an error means that another process has the database locked."""
    return _code(exc) == sqlite3.SQLITE_BUSY


def is_damaged(exc: BaseException) -> bool:
    """Tell whether an error means that the database's file is not what SQLite wrote."""
    # A damaged schema makes SQLite complain in words that are no text.
    return _code(exc) in _DAMAGED or isinstance(exc, UnicodeDecodeError)


def _code(exc: BaseException) -> int:
    return int(getattr(exc, "sqlite_errorcode", 0)) & 0xFF  # the rest tells kinds of one error
