"""What this process has in hand, so that other runs on the same store take something else.

A claim is the kernel's lock on one byte of a file. It ends with its process, however that ends, so
it is never stale. Claims save work and guard nothing: results are right without them, and where
there are no such locks nothing is claimed. Every run leaves a byte in the file, so that those that
came before it know.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

CLAIMS = "claims.lock"  #: the file's name in the store's folder
_FLOCK = struct.Struct("hhqqi4x")  #: type, whence, first byte, bytes, pid
_PRESENCE = 0  # the byte that every run shares
_TAKEN = (errno.EAGAIN, errno.EACCES)


class Claims:
    """What one run has in hand. Any thread."""

    def __init__(self, folder: Path) -> None:
        """Make this run known to others on the store in ``folder``."""
        self.heeded = True  #: whether what others have in hand is left to them
        self._file: int | None = None
        self._held: set[str] = set()
        self._joined, self._visits = True, 0
        with suppress(OSError, AttributeError):  # no room, no such locks: nothing is claimed
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            file = os.open(folder / CLAIMS, flags, 0o600)
            try:
                _ask(file, fcntl.F_OFD_SETLK, fcntl.F_RDLCK, _PRESENCE)
                os.write(file, b".")
                # In this order: whoever comes between the two lines is seen to be there.
                self._visits = os.fstat(file).st_size
                self._joined = _has_company(file)
            except BaseException:
                os.close(file)
                raise
            self._file = file

    @property
    def alone(self) -> bool:
        """Whether this run has had the store to itself so far. False where nobody can tell."""
        file = self._file
        return file is not None and not self._joined and os.fstat(file).st_size == self._visits

    def take(self, names: Sequence[str]) -> list[int]:
        """Claim what no other run has in hand; return the places of what others have.

        Without company nothing is claimed, as that would cost more than it is worth: a run that
        begins later may make once more what this one has in hand at that moment.
        """
        file = self._file
        if file is None or not self.heeded or self.alone or not _has_company(file):
            return []
        return [place for place, name in enumerate(names) if not self._take(file, name)]

    def drop(self, names: Iterable[str]) -> None:
        """Let go of claims, once the results are stored or given up."""
        for name in self._held.intersection(names):
            self._held.discard(name)
            if self._file is not None:
                _ask(self._file, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, _place(name))

    def close(self) -> None:
        """Let go of everything. The last thing done with it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take(self, file: int, name: str) -> bool:
        try:
            _ask(file, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, _place(name))
        except OSError as exc:
            return exc.errno not in _TAKEN
        self._held.add(name)
        return True


def _has_company(file: int) -> bool:
    return _ask(file, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, _PRESENCE) != fcntl.F_UNLCK


def _ask(file: int, command: int, kind: int, place: int) -> int:
    """Return the kind of lock that is in the way, or the one that was set. Raises ``OSError``."""
    answer = fcntl.fcntl(file, command, _FLOCK.pack(kind, os.SEEK_SET, place, 1, 0))
    found: int = _FLOCK.unpack(answer)[0]
    return found


def _place(name: str) -> int:
    """Return a name's byte: 56 bits of a hash, so that two names hardly ever share one."""
    return 1 + int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest())
