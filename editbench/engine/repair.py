"""Makes a new index from what can still be read of the old one and from the value files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from editbench.engine.database import DATABASE, connect_read_only
from editbench.engine.disk import VALUES, ValueFile, is_value_file
from editbench.engine.frame import Damaged, make_tag, peek, unpack
from editbench.engine.index import Index

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
    with suppress(sqlite3.Error), closing(connect_read_only(path)) as con:
        con.text_factory = bytes  # damaged text must not stop us
        for order in ("ASC", "DESC"):
            with suppress(sqlite3.Error):
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
