"""How diskcache writes keys and values for us: str keys, framed bytes, nothing pickled.

A value file is complete and on the disk before its row is written, and never changes afterwards.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import diskcache

from editbench.engine.frame import Damaged
from editbench.errors import StoreError

INLINE_LIMIT = 32 * 1024  #: bytes; smaller frames live in their row
VALUES = "values"  #: the folder of the value files
_KEY = re.compile(r"[A-Za-z0-9._:-]{1,150}")
_FILE = re.compile(VALUES + r"/(?P<key>[A-Za-z0-9._=-]{1,150})-[0-9a-f]{32}\.val")
_RAW, _BINARY, _PICKLE = 1, 2, 4  # diskcache's modes: the value is in the row, or in a file


class ValueFile(NamedTuple):
    """A value file that is already written and only lacks a row."""

    name: str  #: below the store's folder
    size: int


class FrameDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Key and value serialization for diskcache that refuses all that editbench never writes."""

    def put(self, key: object) -> tuple[str, bool]:
        """Return the key and diskcache's mark of a key that is stored as it is."""
        return check_key(key), True

    def get(self, key: object, raw: object) -> str:
        """Return the key of a row. Raises ``StoreError`` for a pickled one, unopened."""
        if not raw or not isinstance(key, str):
            raise _foreign("a key")
        return key

    def store(
        self, value: object, read: bool, key: object = None
    ) -> tuple[int, int, str | None, bytes | None]:
        """Return size, mode, file name and content for a row. Raises ``TypeError`` for objects."""
        if isinstance(value, ValueFile):
            return value.size, _BINARY, value.name, None
        if type(value) is not bytes or read:
            raise TypeError(f"the store keeps bytes, got a {type(value).__name__}")
        return len(value), _RAW, None, value

    def fetch(self, mode: int, filename: object, value: object, read: bool) -> bytes:
        """Return a row's frame.

        Raises ``OSError``, ``Damaged``, and ``StoreError`` for a pickle, which is not opened.
        """
        if mode == _PICKLE:
            raise _foreign("a value")
        if mode == _RAW and isinstance(value, bytes):
            return value
        if mode == _BINARY and is_value_file(filename):
            return read_file(Path(self._directory) / str(filename))
        raise Damaged("its row makes no sense")

    def remove(self, file_path: object) -> None:
        """Unlink a value file and nothing else that a row may name. Failures are swept later."""
        if is_value_file(file_path):
            with suppress(OSError):
                os.unlink(Path(self._directory) / str(file_path))

    def write(self, key: str, frame: bytes, *, sync: bool) -> ValueFile:
        """Write a value file; with ``sync`` it is on the disk on return.

        Raises ``OSError``, and leaves no file then.
        """
        # A random part, so that a second file for one key never takes the place of the first.
        name = f"{VALUES}/{key.replace(':', '=')}-{secrets.token_hex(16)}.val"
        path = Path(self._directory) / name
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.open(path, flags, 0o600)
        try:
            try:
                rest = memoryview(frame)
                while rest:
                    rest = rest[os.write(file, rest) :]
                if sync:
                    _sync(file)
            finally:
                os.close(file)
        except BaseException:
            self.remove(name)
            raise
        return ValueFile(name, len(frame))


def check_key(key: object) -> str:
    """Return a key that can name a record. Raises ``TypeError`` or ``ValueError``."""
    if type(key) is not str:
        raise TypeError(f"a key is a str, got a {type(key).__name__}")
    if not _KEY.fullmatch(key):
        raise ValueError(f"a key is 1 to 150 of A-Z a-z 0-9 . _ : -, got {key!r}")
    return key


def is_value_file(name: object) -> bool:
    """Tell whether a name below the store's folder is one that the store gives its files."""
    return isinstance(name, str) and _FILE.fullmatch(name) is not None


def key_of(name: str) -> str:
    """Return the key that a value file's name was made from."""
    match = _FILE.fullmatch(name)
    if not match:
        raise ValueError(f"{name!r} is no value file")
    return match["key"].replace("=", ":")


def read_file(path: Path) -> bytes:
    """Return a value file's content. Does not follow a link. Raises ``OSError``."""
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb") as file:
        return file.read()


def sync_folder(path: Path) -> None:
    """Have the names in a folder survive a power cut. Raises ``OSError``."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _sync(file: int) -> None:
    if sys.platform == "darwin":  # pragma: no cover
        import fcntl

        fcntl.fcntl(file, fcntl.F_FULLFSYNC)  # there, fsync leaves it in the drive's cache
    else:
        os.fdatasync(file)


def _foreign(what: str) -> StoreError:
    return StoreError(
        f"the store holds {what} that editbench did not write; it was not opened",
        hint="someone else wrote to the store's folder: delete the folder, or name another",
    )
