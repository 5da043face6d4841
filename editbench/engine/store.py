"""Finished results on disk, found by key. What it returns is what was stored, or nothing.

A record is durable when ``add`` returns, never changes, and is checked whenever it is read.
Why each step is as it is: docs/design/store.md.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple, Self, TypeVar

from editbench.engine import opening, repair
from editbench.engine.database import DATABASE
from editbench.engine.disk import (
    INLINE_LIMIT,
    VALUES,
    ValueFile,
    check_key,
    key_of,
)
from editbench.engine.frame import Damaged, Record, make_tag, pack, read_tag, unpack
from editbench.engine.index import Index, Reader, Row
from editbench.engine.locks import Held, alone, shared
from editbench.engine.repair import Swept
from editbench.engine.store_errors import as_store_error, is_full, is_unwritable, translated
from editbench.errors import StoreError, StoreFull
from editbench.records import Json
from editbench.units import format_bytes

RESERVE = 2**30  #: bytes of the disk that are left free
SMALL = 20  #: the reserve takes no more than this part of a disk
BALLAST = 16 * 2**20  #: bytes given up when the disk is full, so that a run can still end well
_SWEEP_WAITS = 10.0  #: seconds for other processes to finish what they are writing

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Finding(NamedTuple):
    """What checking one record, or one file without a record, came to."""

    name: str  #: the record's key, or the file's name
    bytes: int
    problem: str  #: empty if all is well


class Store:
    """Records in a folder, shared by threads and processes. The first to add a key wins."""

    def __init__(
        self,
        folder: Path,
        index: Index | Reader,
        *,
        budget: int | None = None,
        reserve: int = RESERVE,
    ) -> None:
        """Wrap an index that is open; ``Store.open`` is the way in."""
        self.folder = folder
        self._writing = folder / opening.WRITING
        self.notices: list[str] = []  #: what the user should know of how it was opened
        self.damaged = 0  #: records found damaged, and deleted, since it was opened
        self._index = index
        self._budget = budget
        self._reserve = reserve
        self._lock = threading.Lock()
        self._pending = 0  #: bytes that are being written

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        budget: int | None = None,
        reserve: int | None = None,
        ballast: int = BALLAST,
        durability: Literal["power", "crash"] = "power",
        read_only: bool = False,
        timeout: float = 60.0,
    ) -> Self:
        """Open the store in a folder, making or repairing it as needed.

        ``budget`` bounds the bytes of its records, ``reserve`` is what it leaves free on the disk:
        1 GiB, or a twentieth of a small disk, unless it is given.
        With ``durability="crash"`` a power cut may lose the last seconds, but never falsifies.
        A disk that is full or read-only gives a store that is ``read_only``, and a notice.
        ``timeout`` is how many seconds to wait for other processes. Raises ``StoreError``.
        """
        if folder.exists() and not folder.is_dir():
            raise StoreError(f"{folder} is not a folder", hint="name a folder for the store")
        if read_only:
            return cls._open_read_only(folder)
        try:
            index, notices = opening.open_index(folder, timeout=timeout, sync=durability == "power")
        except (OSError, sqlite3.Error) as exc:
            if not is_full(exc) and not is_unwritable(exc):
                raise as_store_error(exc, "open", folder / DATABASE) from exc
            try:
                store = cls._open_read_only(folder)
            except StoreError:
                raise as_store_error(exc, "open", folder / DATABASE) from exc
            why = "its disk is full" if is_full(exc) else str(exc)
            store.notices.append(f"the store in {folder} can only be read: {why}")
            return store
        if reserve is None:
            reserve = min(RESERVE, opening.disk_bytes(folder) // SMALL)
        store = cls(folder, index, budget=budget, reserve=reserve)
        store.notices += notices
        opening.take_ballast(folder, size=ballast, reserve=reserve)
        return store

    @classmethod
    def _open_read_only(cls, folder: Path) -> Self:
        if not (folder / DATABASE).exists():
            raise StoreError(f"there is no store in {folder}")
        with translated("open", folder / DATABASE):
            return cls(folder, Reader(folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def read_only(self) -> bool:
        """Whether nothing can be added."""
        return not isinstance(self._index, Index)

    def __contains__(self, key: str) -> bool:
        return self._index.has(key)

    def held(self, keys: Sequence[str]) -> list[int]:
        """Return the places of those keys that have a record, at the cost of one query."""
        found = self._index.among(keys)
        return [place for place, key in enumerate(keys) if key in found]

    def get(self, key: str) -> Record | None:
        """Return a record, every bit checked. A damaged one is deleted and is not there any more.

        Raises ``StoreError`` when it cannot be read: that is never taken for a miss.
        """
        while (row := self._index.row(key)) is not None:
            try:
                return unpack(self._read(row), key=key)
            except FileNotFoundError:
                self._check_in_place()
                if self._index.row(key) == row:  # else another process deleted it meanwhile
                    self._discard(key, row, "its file is missing")
                    return None
            except Damaged as exc:
                self._discard(key, row, str(exc))
                return None
            except OSError as exc:
                raise as_store_error(exc, "read", self.folder / row.file) from exc
        return None

    def header(self, key: str) -> Mapping[str, Json] | None:
        """Return a record's header without reading its payload."""
        row = self._index.row(key)
        if row is None:
            return None
        try:
            return read_tag(key, row.tag)
        except Damaged as exc:
            self._discard(key, row, str(exc))
            return None

    def headers_of(self, keys: Sequence[str]) -> dict[str, Mapping[str, Json]]:
        """Return the headers of those keys that have a record, at the cost of one query."""
        return dict(self._checked(self._index.tags_of(keys)))

    def headers(self, prefix: str) -> Iterator[tuple[str, Mapping[str, Json]]]:
        """Yield key and header of each record whose key starts so, in the order of the keys."""
        return self._checked(self._index.tags(prefix))

    def _checked(
        self, found: Iterable[tuple[str, bytes | None]]
    ) -> Iterator[tuple[str, Mapping[str, Json]]]:
        for key, tag in found:
            try:
                header: Mapping[str, Json] | None = read_tag(key, tag)
            except Damaged:
                header = self.header(key)
            if header is not None:
                yield key, header

    def add(
        self, key: str, header: Mapping[str, Json], payload: bytes = b"", *, vital: bool = False
    ) -> bool:
        """Store a record; it is durable on return. Returns False if the key was there already.

        Raises ``StoreFull`` before writing when the budget or the reserve would be crossed. A
        ``vital`` record, such as a verdict, may cross both: what is left is there for those.
        """
        tag = make_tag(check_key(key), header)
        if key in self:
            return False
        frame = pack(key, tag, payload)
        with self._room_for(len(frame), vital=vital):
            return self._write(lambda index: index.add(key, tag, frame), again=vital)

    def add_many(
        self, items: Iterable[tuple[str, Mapping[str, Json], bytes]], *, vital: bool = False
    ) -> int:
        """Store small records in one transaction: all, or none when it raises.

        Returns how many were new. Raises ``ValueError`` for a record too large to live in its row.
        """
        ready: list[tuple[str, str, bytes | ValueFile]] = []
        for key, header, payload in items:
            tag = make_tag(check_key(key), header)
            frame = pack(key, tag, payload)
            if len(frame) >= INLINE_LIMIT:
                raise ValueError(f"{key} has {len(frame)} bytes; add it alone")
            ready.append((key, tag, frame))
        with self._room_for(sum(len(frame) for _, _, frame in ready), vital=vital):
            return self._write(lambda index: index.add_many(ready), again=vital)

    def delete(self, key: str) -> int:
        """Delete a record and return the bytes freed; 0 if there was none."""
        try:
            return self._write(lambda index: index.delete(key), again=True)
        except StoreFull:
            row = self._index.row(key)
            if row is None or not row.file:
                raise
            # A full disk refuses even to forget a row. Its file can go, which makes the room.
            self._index.disk.remove(row.file)
            return self._write(lambda index: index.delete(key), again=True)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Delete records in one transaction. Raises ``StoreError``."""
        self._write(lambda index: index.delete_many(keys), again=True)

    def records(self, prefix: str) -> Iterator[tuple[str, int, float]]:
        """Yield key, bytes and epoch seconds of each record whose key starts so, by key."""
        return self._index.sizes(prefix)

    def totals(self) -> list[tuple[str, int, int]]:
        """Return how many records, of how many bytes, have keys with each first letter."""
        return self._index.totals()

    def used(self) -> int:
        """Return the bytes of all records. Costs one query however many there are."""
        return self._index.used()

    def room(self) -> int:
        """Return the bytes that may still be added, for records that are not vital."""
        if self.read_only:
            return 0
        free = opening.free_bytes(self.folder) - self._reserve
        budget = free if self._budget is None else self._budget - self.used()
        return max(0, min(free, budget) - self._pending)

    def sweep(self, *, before: float) -> Swept:
        """Deal with value files without a record that are older than ``before``, in epoch seconds.

        Whole ones get their record back, torn ones are removed. The caller holds the run's lock.
        Nothing is done if other processes do not pause their writing within some seconds.
        """
        if not isinstance(self._index, Index):
            return Swept(0, 0)
        try:
            with translated("sweep", self.folder), alone(self._writing, seconds=_SWEEP_WAITS):
                return repair.sweep(self._index, self.folder, before=before)
        except Held:
            return Swept(0, 0)

    def check(self) -> Iterator[Finding]:
        """Read and verify everything, changing nothing. Yields one finding a record.

        Further findings name faults of the index, and value files that have no record.
        """
        for fault in self._index.faults():
            yield Finding(DATABASE, 0, fault)
        for key, _ in self._index.tags(""):
            row = self._index.row(key)
            if row is not None:
                yield Finding(key, row.size, self._problem(key, row))
        for path in repair.value_files(self.folder):
            name = f"{VALUES}/{path.name}"
            row = self._index.row(key_of(name))
            if row is None or row.file != name:
                yield Finding(name, path.stat().st_size, "it has no record")

    def close(self) -> None:
        """Close what the calling thread has open; other threads' connections end with them."""
        self._index.close()

    def _read(self, row: Row) -> bytes:
        frame: bytes = self._index.disk.fetch(row.mode, row.file, row.value, False)
        return frame

    def _problem(self, key: str, row: Row) -> str:
        try:
            read_tag(key, row.tag)
            unpack(self._read(row), key=key)
        except (Damaged, OSError, StoreError) as exc:
            return str(exc)
        return ""

    def _discard(self, key: str, row: Row, why: str) -> None:
        with self._lock:
            self.damaged += 1
        _log.warning("%s is damaged and is made again: %s", key, why)
        if not self.read_only:
            with suppress(StoreFull):  # then it is found again, and deleted when there is room
                self._write(lambda index: index.delete(key, only=row), again=True)

    def _check_in_place(self) -> None:
        if isinstance(self._index, Index):
            self._index.check_in_place()

    def _writable(self) -> Index:
        if isinstance(self._index, Index):
            return self._index
        raise StoreError(
            "; ".join(self.notices) or f"the store in {self.folder} was opened for reading only",
            hint="make the disk writable, with room on it, and run the same command again",
        )

    def _write(self, act: Callable[[Index], _T], *, again: bool) -> _T:
        index = self._writable()
        try:
            with shared(self._writing):
                try:
                    return act(index)
                except StoreFull:
                    if not opening.drop_ballast(self.folder) or not again:
                        raise
                    return act(index)
        except OSError as exc:
            raise as_store_error(exc, "lock", self._writing) from exc

    @contextmanager
    def _room_for(self, size: int, *, vital: bool) -> Iterator[None]:
        self._writable()
        with self._lock:
            if not vital and size > (room := self.room()):
                raise StoreFull(
                    f"no room in {self.folder} for {format_bytes(size)}: {format_bytes(room)} left",
                    hint="make room on the disk, or give the store a larger budget",
                )
            self._pending += size
        try:
            yield
        finally:
            with self._lock:
                self._pending -= size
