"""What this process has in hand, so that other runs on the same store take something else.

A claim is the kernel's lock on one byte of a file that stays empty. It ends with its process,
however that ends, so it is never stale. Claims save work and guard nothing: results are right
without them, and where there are no such locks nothing is claimed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import struct
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

CLAIMS = "claims.lock"  #: the file's name in the store's folder
LOOK = 0.2  #: seconds between looks for other runs
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
        self._company, self._looked = False, 0.0
        with suppress(OSError, AttributeError):  # no room, no such locks: nothing is claimed
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            file = os.open(folder / CLAIMS, flags, 0o600)
            try:
                _ask(file, fcntl.F_OFD_SETLK, fcntl.F_RDLCK, _PRESENCE)
            except BaseException:
                os.close(file)
                raise
            self._file = file

    def take(self, names: Sequence[str]) -> list[int]:
        """Claim what no other run has in hand; return the places of what others have.

        Without company nothing is claimed, as that would cost more than it is worth: a run that
        begins later may make once more what this one has in hand at that moment.
        """
        file = self._file
        if file is None or not self.heeded or not self._has_company(file):
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

    def _has_company(self, file: int) -> bool:
        now = time.monotonic()
        if now - self._looked > LOOK:
            self._looked = now
            found = _ask(file, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, _PRESENCE)
            self._company = found != fcntl.F_UNLCK
        return self._company


def _ask(file: int, command: int, kind: int, place: int) -> int:
    """Return the kind of lock that is in the way, or the one that was set. Raises ``OSError``."""
    answer = fcntl.fcntl(file, command, _FLOCK.pack(kind, os.SEEK_SET, place, 1, 0))
    found: int = _FLOCK.unpack(answer)[0]
    return found


def _place(name: str) -> int:
    """Return a name's byte: 56 bits of a hash, so that two names hardly ever share one."""
    return 1 + int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest())
