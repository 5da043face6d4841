"""Opens the store's SQLite file when it may be missing, damaged, locked or not writable."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Literal

from editbench.engine.store_errors import as_store_error, is_damaged, is_locked
from editbench.errors import StoreError

DATABASE = "cache.db"
FORMAT = 1  #: of the store's folder; an editbench refuses what is newer than it knows

Condition = Literal["missing", "unfinished", "damaged", "good"]


def condition(folder: Path, *, timeout: float) -> Condition:
    """Say in what state a folder's table is, before diskcache writes to it.

    Reads the whole file: 0.3 s for 100 000 records. Raises ``StoreError`` if it is of a newer
    format or stays locked for ``timeout`` seconds, ``sqlite3.Error`` where it cannot be written.
    """
    path = folder / DATABASE
    if not path.exists():
        return "missing"
    uri = f"{path.absolute().as_uri()}?mode=rw"
    con = sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None)
    try:
        version = _format(con, folder)
        if con.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]:
            return "damaged"
        con.execute("BEGIN IMMEDIATE")
        con.execute("ROLLBACK")
        return "good" if version == FORMAT else "unfinished"
    except (sqlite3.DatabaseError, UnicodeDecodeError) as exc:
        if is_damaged(exc):
            return "damaged"
        if is_locked(exc):
            raise as_store_error(exc, "open", path) from exc
        raise
    finally:
        con.close()


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open a database on a disk that may be full or read-only. One thread at a time.

    Raises ``StoreError`` if it is of a newer format, ``sqlite3.Error``, ``OSError``.
    """
    uri = path.absolute().as_uri()
    try:
        return _connect(f"{uri}?mode=ro", path.parent)
    except sqlite3.OperationalError:
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            return _copied(path, log)
        return _connect(f"{uri}?immutable=1", path.parent)


def _copied(path: Path, log: Path) -> sqlite3.Connection:
    """Read a copy in memory: the newest records are in a log that only a writer can replay."""
    with tempfile.TemporaryDirectory(prefix="editbench-") as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        shutil.copyfile(log, copy.with_name(log.name))
        source = _connect(f"{copy.as_uri()}?mode=rw", path.parent)
        try:
            memory = sqlite3.connect(":memory:", check_same_thread=False)
            source.backup(memory)
        finally:
            source.close()
    return memory


def _connect(uri: str, folder: Path) -> sqlite3.Connection:
    con = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
    try:
        _format(con, folder)
    except BaseException:
        con.close()
        raise
    return con


def _format(con: sqlite3.Connection, folder: Path) -> int:
    ((version,),) = con.execute("PRAGMA user_version").fetchall()
    if version > FORMAT:
        raise StoreError(
            f"{folder} was written by a newer editbench (format {version})",
            hint="update editbench, or name another folder",
        )
    return int(version)
