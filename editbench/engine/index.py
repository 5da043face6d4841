"""The table of what is stored: diskcache with its traps closed.

Reading goes to diskcache's table by SQL of our own, since diskcache takes every read error for a
missing value. Writing goes through diskcache, but for many rows at a time: it adds them one by one.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import diskcache

from editbench.engine.database import DATABASE, FORMAT, connect_read_only
from editbench.engine.disk import INLINE_LIMIT, FrameDisk, ValueFile
from editbench.engine.store_errors import as_store_error, translated
from editbench.errors import StoreError

_PAGE_ROWS = 5000
_INSERTED = 64  #: rows that one statement adds; ten values each, of which old SQLite takes 999
_HOLDS = {
    "eviction_policy": "none",  # else results vanish once diskcache thinks that it is full
    "cull_limit": 0,
    "size_limit": 2**62,  # the budget is the store's own affair
    "statistics": 0,
    "disk_min_file_size": INLINE_LIMIT,
    "sqlite_synchronous": 2,  # FULL: a row is on the disk when ``add`` returns
    "sqlite_cache_size": 1024,  # pages of 4 kB, for each thread
    "sqlite_mmap_size": 0,  # a read error through a mapping would kill the process
}
# As blobs, since SQLite hands out text that a flipped bit made undecodable as an error.
_COLUMNS = "rowid, store_time, CAST(tag AS BLOB), size, mode, CAST(filename AS BLOB), value"
_FIRST, _LAST = b" ", "~"  # sort before and after every character of a key


class Row(NamedTuple):
    """One row. Two reads that are equal saw the same record."""

    id: int
    time: float
    tag: bytes | None
    size: int  #: bytes of the frame
    mode: int
    filename: bytes | None  #: of its value file, if the frame is not in the row
    value: object

    @property
    def file(self) -> str:
        """The name of the value file below the store's folder; empty if there is none."""
        return (self.filename or b"").decode("ascii", "replace")


class Reader:
    """The table as it can be read, even where nothing can be written."""

    def __init__(self, folder: Path) -> None:
        """Open the table for reading. Raises ``StoreError``, ``sqlite3.Error``, ``OSError``."""
        self.disk = FrameDisk(str(folder))
        self._path = folder / DATABASE
        self._lock = threading.Lock()
        self._con = connect_read_only(self._path)
        if self.rows("PRAGMA user_version") != [(FORMAT,)]:
            self.close()
            raise StoreError(
                f"{self._path} was not finished, or is not an index of editbench",
                hint="make room on the disk and run the command again: it is made anew",
            )

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return all rows of a query. Raises ``StoreError``."""
        with self._lock, translated("read", self._path):
            return self._con.execute(sql, values).fetchall()

    def row(self, key: str) -> Row | None:
        """Return the row of a key."""
        found = self.rows(f"SELECT {_COLUMNS} FROM Cache WHERE key = ? AND raw = 1", key)
        return Row(*found[0]) if found else None

    def has(self, key: str) -> bool:
        """Tell whether a key has a row."""
        return bool(self.rows("SELECT 1 FROM Cache WHERE key = ? AND raw = 1", key))

    def among(self, keys: Sequence[str]) -> set[str]:
        """Return those keys that have a row."""
        return {key for (key,) in self._rows_of("CAST(key AS BLOB)", keys)}

    def tags_of(self, keys: Sequence[str]) -> list[tuple[str, bytes | None]]:
        """Return key and tag of those keys that have a row."""
        return [
            (key, tag) for key, tag in self._rows_of("CAST(key AS BLOB), CAST(tag AS BLOB)", keys)
        ]

    def _rows_of(self, columns: str, keys: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        marks = ", ".join("?" * len(keys))
        sql = f"SELECT {columns} FROM Cache WHERE raw = 1 AND key IN ({marks})"
        for key, *others in self.rows(sql, *keys):
            yield key.decode("ascii", "replace"), *others

    def tags(self, prefix: str) -> Iterator[tuple[str, bytes | None]]:
        """Yield key and tag of each record whose key starts so, in the order of the keys."""
        sql = (
            "SELECT CAST(key AS BLOB), CAST(tag AS BLOB) FROM Cache"
            " WHERE raw = 1 AND key >= CAST(? AS TEXT) AND key < ? ORDER BY key LIMIT ?"
        )
        start = prefix.encode()
        while page := self.rows(sql, start, prefix + _LAST, _PAGE_ROWS):
            for key, tag in page:
                yield key.decode("ascii", "replace"), tag
            start = page[-1][0] + _FIRST

    def sizes(self, prefix: str) -> Iterator[tuple[str, int, float]]:
        """Yield key, bytes of the frame and time of storing of each record whose key starts so."""
        sql = (
            "SELECT CAST(key AS BLOB), size, store_time FROM Cache"
            " WHERE raw = 1 AND key >= CAST(? AS TEXT) AND key < ? ORDER BY key LIMIT ?"
        )
        start = prefix.encode()
        while page := self.rows(sql, start, prefix + _LAST, _PAGE_ROWS):
            for key, size, stored in page:
                yield key.decode("ascii", "replace"), size, stored
            start = page[-1][0] + _FIRST

    def totals(self) -> list[tuple[str, int, int]]:
        """Return records and bytes by the first letter of their keys."""
        sql = "SELECT substr(key, 1, 1), count(*), sum(size) FROM Cache WHERE raw = 1 GROUP BY 1"
        return [(str(letter), count, size) for letter, count, size in self.rows(sql)]

    def used(self) -> int:
        """Return the bytes of all frames, from the sum that diskcache's triggers keep."""
        return int(self.rows("SELECT value FROM Settings WHERE key = 'size'")[0][0])

    def faults(self) -> list[str]:
        """Return what SQLite finds wrong with its file. Reads all of it."""
        found = [str(row[0]) for row in self.rows("PRAGMA integrity_check(20)")]
        sql = (
            "SELECT count(*) FROM Cache WHERE raw != 1 OR mode = 4"
            " OR typeof(key) != 'text' OR key GLOB '*[^A-Za-z0-9._:-]*'"
        )
        ((foreign,),) = self.rows(sql)
        strange = [f"{foreign} rows that editbench did not write"] if foreign else []
        return [fault for fault in found if fault != "ok"] + strange

    def close(self) -> None:
        """Close what the calling thread has open. Idempotent."""
        with self._lock:
            self._con.close()


class Index(Reader):
    """The table as a run uses it. Any thread; each gets a connection of its own."""

    def __init__(self, folder: Path, *, timeout: float, sync: bool) -> None:
        """Open or make the table. Raises ``sqlite3.Error``, ``OSError``, ``StoreError``.

        Without ``sync`` a record survives a killed process, but perhaps no power cut.
        """
        self._path = folder / DATABASE
        self._sync = sync
        self._local = threading.local()
        self._cache = diskcache.Cache(str(folder), timeout=timeout, disk=FrameDisk, **_HOLDS)
        self.disk = self._cache.disk
        for name, value in _HOLDS.items():
            if getattr(self._cache, name) != value:
                raise StoreError(f"{self._path}: diskcache did not accept {name} = {value}")
        self._inode = self._path.stat().st_ino

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with translated("read", self._path):
            return self._run(sql, values).fetchall()

    def add(self, key: str, tag: str, frame: bytes) -> bool:
        """Add a record unless its key is there. Durable on return. Raises ``StoreError``."""
        self.check_in_place()
        with translated("write", self._path):
            if len(frame) < INLINE_LIMIT:
                with self._undone():
                    return bool(self._cache.add(key, frame, tag=tag))
            return self._add_file(key, tag, self.disk.write(key, frame, sync=self._sync))

    def add_many(self, items: Iterable[tuple[str, str, bytes | ValueFile]]) -> int:
        """Add records in one transaction: all of them or, when it raises, none.

        Returns how many were new. Raises ``StoreError``.
        """
        self.check_in_place()
        with translated("write", self._path), self._undone(), self._cache.transact():
            rest, new = iter(items), 0
            while some := list(islice(rest, _INSERTED)):
                new += self._insert(some)
            return new

    def _insert(self, items: Sequence[tuple[str, str, bytes | ValueFile]]) -> int:
        """Do as diskcache's ``add`` does with each of some items, by one statement for all."""
        values: list[object] = []
        now = time.time()
        for key, tag, value in items:
            name, raw = self.disk.put(key)
            values += (name, raw, now, now, tag, *self.disk.store(value, False))
        marks = ", ".join(["(?, ?, ?, ?, 0, ?, ?, ?, ?, ?)"] * len(items))
        sql = (
            "INSERT OR IGNORE INTO Cache (key, raw, store_time, access_time, access_count,"
            f" tag, size, mode, filename, value) VALUES {marks}"
        )
        return self._run(sql, values).rowcount

    def delete(self, key: str, *, only: Row | None = None) -> int:
        """Delete a record, if it is still the one that was seen. Return the bytes freed."""
        self.check_in_place()
        with translated("write", self._path):
            with self._undone(), self._cache.transact():
                row = self.row(key)
                if row is None or (only is not None and row != only):
                    return 0
                self._run("DELETE FROM Cache WHERE rowid = ?", (row.id,))
            self.disk.remove(row.file)
            return row.size

    def delete_many(self, keys: Iterable[str]) -> None:
        """Delete records in one transaction, then their files. Raises ``StoreError``."""
        self.check_in_place()
        with translated("write", self._path):
            with self._undone(), self._cache.transact():
                rows = [row for row in map(self.row, keys) if row]
                for row in rows:
                    self._run("DELETE FROM Cache WHERE rowid = ?", (row.id,))
            for row in rows:
                self.disk.remove(row.file)

    def check_in_place(self) -> None:
        """Raise ``StoreError`` if the file that is open is no longer the one in the folder.

        SQLite would go on writing to a file that is gone once the process ends.
        """
        try:
            same = self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            same = False
        except OSError as exc:
            raise as_store_error(exc, "reach", self._path) from exc
        if not same:
            raise StoreError(
                f"{self._path} was removed or replaced while it was in use",
                hint="run the command again: the store is put in order when it is opened",
            )

    def finish(self) -> None:
        """Mark the table as complete: without the mark it is rebuilt when it is opened."""
        self.rows(f"PRAGMA user_version = {FORMAT}")

    def close(self) -> None:
        with suppress(sqlite3.Error):
            # So that one file holds everything, should someone copy it.
            self._run("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._cache.close()
        self._local.process = None

    def _add_file(self, key: str, tag: str, value: ValueFile) -> bool:
        try:
            with self._undone():
                return bool(self._cache.add(key, value, tag=tag))
        except BaseException:
            # A commit may fail after it took effect: only a file that no row names is removed.
            with suppress(StoreError):
                row = self.row(key)
                if row is None or row.file != value.name:
                    self.disk.remove(value.name)
            raise

    @contextmanager
    def _undone(self) -> Iterator[None]:
        run = self._run
        try:
            yield
        except BaseException:
            # diskcache leaves the transaction open when its COMMIT fails.
            with suppress(sqlite3.Error):
                run("ROLLBACK")
            raise

    @property
    def _run(self) -> Callable[..., sqlite3.Cursor]:
        run: Callable[..., sqlite3.Cursor] = self._cache._sql
        if getattr(self._local, "process", None) != os.getpid():
            # diskcache sets up a new connection from a table that any other opener may rewrite.
            level = 2 if self._sync else 1
            run(f"PRAGMA synchronous = {level}")
            if run("PRAGMA synchronous").fetchone() != (level,):
                raise StoreError(f"{self._path}: SQLite did not accept synchronous = {level}")
            self._local.process = os.getpid()
        return run
