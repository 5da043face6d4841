"""Weights that host memory cannot hold: a file in the arena's layout, past the page cache.

The file has no name, so that it goes with the process however that ends. One that is kept is named
by what is in it, so that a later run finds it. Does not cover how its pieces reach the device (see
masters).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from editbench.engine import arena
from editbench.engine.arena import Layout
from editbench.engine.devices import Device, Stop, Wait, at_once, never
from editbench.engine.pages import MappedFiles
from editbench.engine.placement import Extent, intersect
from editbench.engine.ring import Ring
from editbench.errors import MachineError
from editbench.units import format_bytes

if TYPE_CHECKING:
    import torch

BLOCK = 4096  #: bytes; what disks want transfers past the page cache to be multiples of
_DIRECT = getattr(os, "O_DIRECT", 0)
_TMPFILE = getattr(os, "O_TMPFILE", 0)

log = logging.getLogger(__name__)


class WeightFolder:
    """Where files of weights are written; with ``keep``, also for later runs.

    The slots for reading them are made for the first one.
    """

    def __init__(self, device: Device, path: Path, *, keep: bool = False) -> None:
        self._device = device
        self._path = path
        self._keep = keep
        self._ring: Ring | None = None

    @property
    def bytes_in_memory(self) -> int:
        return self._ring.bytes if self._ring else 0

    def write(self, name: str, layout: Layout, numbers: Iterable[int]) -> WeightFile:
        """Put these pieces of a model on disk, durably, and leave the model as it is.

        Where files are kept, one that an earlier run left is used again if every byte of it is
        right. Raises ``MachineError`` and leaves nothing behind.
        """
        numbers = list(numbers)
        self._ring = self._ring or Ring(self._device)
        with _disk_errors(name, self._path), ExitStack() as stack:
            self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._keep and (kept := self._find(name, layout, numbers, self._ring)):
                return kept
            made = WeightFile(name, layout, self._ring, _nameless(self._path), None)
            stack.callback(made.close)
            for number, piece in _pieces(layout, numbers):
                made.put(number, piece)
            made.finish(self._path if self._keep else None)
            stack.pop_all()
        return made

    def _find(self, name: str, layout: Layout, numbers: list[int], ring: Ring) -> WeightFile | None:
        if not any(self._path.glob(f"{_shape(layout, numbers)}-*")):
            return None
        sums = {number: _sum(layout, number, piece) for number, piece in _pieces(layout, numbers)}
        path = self._path / _title(layout, sums)
        if not path.exists():
            return None
        found = WeightFile(name, layout, ring, _open(path, os.O_RDONLY), path)
        found.sums = sums
        try:
            ring.each(numbers, found.read, lambda number, slot: at_once)
        except MachineError:
            found.close()
            return None
        return found

    def close(self) -> None:
        """Give the slots back."""
        if self._ring:
            self._ring.close()
            self._ring = None


class WeightFile:
    """Pieces of a model's weights on disk: each has the number and the offset that it has in the
    arena, and a checksum that every reading is held to.
    """

    def __init__(self, name: str, layout: Layout, ring: Ring, file: int, path: Path | None) -> None:
        self.sums: dict[int, int] = {}  #: by number
        self._name = name
        self._layout = layout
        self._ring = ring
        self._file = file
        self._path = path  # None for a file without a name
        self._direct = bool(fcntl.fcntl(file, fcntl.F_GETFL) & _DIRECT)

    def send(self, start: int, target: torch.Tensor, *, stop: Stop = never) -> None:
        """Copy the arena's bytes from ``start`` on into the device's memory ``target``.

        Raises ``MachineError``, ``Stopped``, ``RuntimeError`` as the device does.
        """
        wanted = Extent(start, start + target.numel())

        def use(number: int, slot: torch.Tensor) -> Wait:
            piece = arena.piece(self._layout, number)
            ((first, last),) = intersect((piece,), (wanted,))
            source = slot[first - piece.start : last - piece.start]
            return self._ring.device.copy(target[first - start : last - start], source)

        self._ring.each(arena.piece_numbers(wanted), self.read, use, stop=stop)

    def close(self) -> None:
        """Close the file. One without a name is gone then."""
        os.close(self._file)

    def read(self, number: int, slot: torch.Tensor) -> None:
        """Read a piece into a slot, on any thread. Raises ``MachineError``."""
        start, end = arena.piece(self._layout, number)
        try:
            self._ring.device.read(self._file, slot[: _blocks(end - start)], start)
        except OSError as exc:
            raise MachineError(
                f"weights of {self._name} cannot be read back from disk: {exc.strerror or exc}",
                hint="run again; if it recurs, set memory.folder to another disk",
            ) from exc
        self._forget_pages(start, end)
        if _sum(self._layout, number, slot) != self.sums[number]:
            if self._path:
                self._path.unlink(missing_ok=True)  # so that the next run writes it anew
            first = arena.piece_names(self._layout, number)[0]
            raise MachineError(
                f"weights of {self._name} were damaged on disk, the first of them {first}",
                hint="run again, they are written anew; if it recurs, set memory.folder to "
                "another disk",
            )

    def put(self, number: int, piece: torch.Tensor) -> None:
        """Write a piece. Raises ``OSError``."""
        self.sums[number] = _sum(self._layout, number, piece)
        start, end = arena.piece(self._layout, number)
        if os.pwrite(self._file, piece.numpy().data, start) != piece.numel():
            raise OSError(f"only a part of {format_bytes(piece.numel())} was written")
        if not self._direct:
            os.fdatasync(self._file)
        self._forget_pages(start, end)

    def _forget_pages(self, start: int, end: int) -> None:
        # What host memory cannot hold must not fill it as the file's cache either.
        if not self._direct and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file, start, end - start, os.POSIX_FADV_DONTNEED)

    def finish(self, folder: Path | None) -> None:
        """Wait for the disk, and keep the file under its name in ``folder``, if that can be."""
        os.fsync(self._file)
        if folder is None:
            return
        path = folder / _title(self._layout, self.sums)
        try:
            # Any number of a folder makes it follow the link; the path does not need it.
            os.link(f"/proc/self/fd/{self._file}", path, src_dir_fd=self._file)
        except FileExistsError:
            pass  # another process was quicker, with the same bytes
        except OSError as exc:
            log.debug("%s cannot keep a file of weights: %s", folder, exc)
            return
        self._path = path


def _pieces(layout: Layout, numbers: Iterable[int]) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield each piece, in one place after the other, with zeros up to the next block."""
    staged = arena.host_memory(arena.PIECE)
    starts = [offset for _, offset in layout.groups]
    files = MappedFiles()
    for number in numbers:
        piece = arena.piece(layout, number)
        staged.zero_()
        first = max(0, bisect_right(starts, piece.start) - 1)
        for group, offset in layout.groups[first : bisect_right(starts, piece.end - 1)]:
            source = arena.group_bytes(group)
            for start, end in intersect((piece,), (Extent(offset, offset + group.bytes),)):
                part = source[start - offset : end - offset]
                staged[start - piece.start : end - piece.start] = part
                files.let_go(part.data_ptr(), part.numel())
        yield number, staged[: _blocks(piece.bytes)]


def _sum(layout: Layout, number: int, piece: torch.Tensor) -> int:
    return arena.checksums(piece[: arena.piece(layout, number).bytes])[0]


def _blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _shape(layout: Layout, numbers: Iterable[int]) -> str:
    facts = [
        [leaf.name, str(leaf.tensor.dtype), leaf.shape, leaf.stride, offset + leaf.offset]
        for group, offset in layout.groups
        for leaf in group.leaves
    ]
    return _digest([arena.PIECE, list(numbers), facts])


def _title(layout: Layout, sums: dict[int, int]) -> str:
    return f"{_shape(layout, sums)}-{_digest(list(sums.values()))}.weights"


def _digest(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]


def _nameless(folder: Path) -> int:
    if _TMPFILE:
        with suppress(OSError):  # a file system that has none
            return _open(folder, os.O_RDWR | _TMPFILE)
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.dup(file.fileno())


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | _DIRECT | os.O_CLOEXEC, 0o600)
    except OSError:
        return os.open(path, flags | os.O_CLOEXEC, 0o600)


@contextmanager
def _disk_errors(name: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise MachineError(
            f"cannot put weights of {name} on disk in {folder}: {exc.strerror or exc}",
            hint="host memory cannot hold them all: make room there, set memory.folder to another "
            "disk, or raise memory.weights",
        ) from exc
