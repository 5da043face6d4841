"""Brings index and value files together again: after a crash, or when the index is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from editbench.engine.database import DATABASE, connect_read_only
from editbench.engine.disk import VALUES, ValueFile, is_value_file, key_of, read_file
from editbench.engine.frame import Damaged, make_tag, peek, unpack
from editbench.engine.index import Index
from editbench.errors import StoreFull


class Swept(NamedTuple):
    """What became of value files that had no record."""

    adopted: int  #: whole results, found again
    removed: int  #: torn or superfluous files


ASIDE = f"{DATABASE}.damaged"  #: the old index is kept, its log beside it


def set_aside(folder: Path) -> None:
    """Rename an index that cannot be used, so that a new one can be made. Raises ``OSError``."""
    for end in ("-shm", "-wal", ""):
        old, new = folder / f"{DATABASE}{end}", folder / f"{ASIDE}{end}"
        new.unlink(missing_ok=True)
        if end == "-shm":
            old.unlink(missing_ok=True)
        elif old.exists():
            old.rename(new)


def rebuild(index: Index, folder: Path) -> int:
    """Fill a new index and return its number of records. Raises ``StoreError``.

    Payloads in value files are not read: as ever, they are checked by whoever gets them.
    """
    return index.add_many(_salvaged(folder / ASIDE)) + index.add_many(_found(folder))


def sweep(index: Index, folder: Path, *, before: float) -> Swept:
    """Deal with value files without a record that are older than ``before``.

    Nobody may be writing meanwhile. Raises ``StoreError``, ``OSError``.
    """
    adopted = removed = 0
    for path in value_files(folder):
        name = f"{VALUES}/{path.name}"
        row = index.row(key_of(name))
        if path.stat().st_mtime >= before or (row and row.file == name):
            continue
        whole = None if row else _whole(path, name)
        if whole is None:
            path.unlink()
            removed += 1
        else:
            with suppress(StoreFull):  # then it waits for the next time
                adopted += index.add_many([whole])
    return Swept(adopted, removed)


def value_files(folder: Path) -> Iterator[Path]:
    """Yield the files in a store's folder that are named as the store names its own."""
    with suppress(FileNotFoundError):
        for path in (folder / VALUES).iterdir():
            if is_value_file(f"{VALUES}/{path.name}") and path.is_file() and not path.is_symlink():
                yield path


def _salvaged(path: Path) -> Iterator[tuple[str, str, bytes]]:
    """Yield the small records of a damaged index, from both ends up to where it is damaged."""
    if not path.exists():
        return
    with suppress(sqlite3.Error, UnicodeDecodeError), closing(connect_read_only(path)) as con:
        con.text_factory = bytes  # damaged text must not stop us
        for order in ("ASC", "DESC"):
            with suppress(sqlite3.Error, UnicodeDecodeError):
                sql = f"SELECT key, value FROM Cache WHERE filename IS NULL ORDER BY rowid {order}"
                for key, value in con.execute(sql):
                    with suppress(Damaged, UnicodeDecodeError, AttributeError, TypeError):
                        name = key.decode("ascii")
                        yield name, make_tag(name, unpack(value, key=name).header), value


def _found(folder: Path) -> Iterator[tuple[str, str, ValueFile]]:
    for path in value_files(folder):
        with suppress(Damaged, OSError), path.open("rb") as file:
            size = path.stat().st_size
            yield *peek(file, size=size), ValueFile(f"{VALUES}/{path.name}", size)


def _whole(path: Path, name: str) -> tuple[str, str, ValueFile] | None:
    """Return what a value file's record is to hold; nothing if a bit of it is wrong."""
    key, frame = key_of(name), read_file(path)
    try:
        return key, make_tag(key, unpack(frame, key=key).header), ValueFile(name, len(frame))
    except Damaged:
        return None
