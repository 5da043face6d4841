"""The store as its owner sees it: what it holds, for which runs, and what of it may go.

A run enters itself in the store, and leaves the keys of its edits in its folder. What no run's keys
name is unused. Nothing goes while a run is going on.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from editbench.engine import keys, locks, opening
from editbench.engine.database import DATABASE
from editbench.engine.disk import VALUES
from editbench.engine.lock import holder
from editbench.engine.store import Finding, Store
from editbench.errors import RunLocked, StoreError

KEYS = "edits.keys"  #: in a run's folder: the keys of its edits, 32 bytes each
KINDS = {
    "e": "edits",
    "i": "parts of edits",
    "t": "thumbnails",
    "v": "replies",
}  #: by the letter that keys start with
OTHER = "notes"  #: what is known of images, models and this machine's speed
_RUN = "r:"
_SIZE = 32
_GROUP = 500  #: records deleted in one commit


class Usage(NamedTuple):
    """How much there is of one kind of record."""

    kind: str
    records: int
    bytes: int


class RunUsage(NamedTuple):
    """What one run refers to."""

    folder: Path
    edits: int  #: of the run, stored or not
    stored: int
    bytes: int  #: of those that are stored; runs may share them
    holder: str  #: who is running it now; empty if nobody


class Unused(NamedTuple):
    """Records that may go."""

    keys: Sequence[str]
    kinds: Sequence[Usage]

    @property
    def bytes(self) -> int:
        return sum(kind.bytes for kind in self.kinds)


def enter(store: Store, folder: Path, edits: bytes) -> None:
    """Note that a run in this folder refers to edits with these keys, 32 bytes each.

    A disk without room for that note only makes ``unused`` take the run's work for nobody's, so
    that it is no reason to stop. Raises ``OSError`` where the folder cannot be written.
    """
    (folder / KEYS).write_bytes(edits)
    place = str(folder.resolve())
    with suppress(StoreError):
        store.add(_RUN + keys.digest("run", place), {"folder": place}, vital=True)


class Cache:
    """A store that is looked after."""

    def __init__(self, store: Store, *, runs: Iterable[Path] = ()) -> None:
        """Take an open store, and folders of runs beside those that it knows."""
        self.store = store
        self._more = tuple(runs)

    @property
    def folder(self) -> Path:
        return self.store.folder

    def usage(self) -> list[Usage]:
        """Return what there is of every kind, the largest first."""
        found: dict[str, Usage] = {}
        for letter, records, size in self.store.totals():
            kind = KINDS.get(letter, OTHER)
            old = found.get(kind, Usage(kind, 0, 0))
            found[kind] = Usage(kind, old.records + records, old.bytes + size)
        return sorted(found.values(), key=lambda usage: -usage.bytes)

    def runs(self) -> list[RunUsage]:
        """Return what each run that is still there refers to, the largest first."""
        sizes = {bytes.fromhex(key[2:]): size for key, size, _ in self.store.records("e:")}
        out = []
        for folder in self._folders():
            edits = _edits(folder)
            stored = [sizes[key] for key in edits if key in sizes]
            out.append(RunUsage(folder, len(edits), len(stored), sum(stored), holder(folder)))
        return sorted(out, key=lambda run: -run.bytes)

    def _folders(self) -> list[Path]:
        known = [Path(str(header["folder"])) for _, header in self.store.headers(_RUN)]
        found = dict.fromkeys(path.resolve() for path in (*known, *self._more))
        return [folder for folder in found if (folder / KEYS).is_file()]

    def check(self) -> Iterator[Finding]:
        """Read and verify everything, changing nothing; one finding a record, and one a fault."""
        return self.store.check()

    def unused(self, *, older_than: float = 0.0) -> Unused:
        """Return the edits that no run refers to, and the replies about such edits.

        Only those stored more than ``older_than`` seconds ago; 0 for all.
        """
        used = {key for folder in self._folders() for key in _edits(folder)}
        latest = time.time() - older_than
        kept: set[str] = set()  # the pixels of edits that stay
        names: list[str] = []
        sizes: dict[str, tuple[int, int]] = {}

        def drop(key: str, size: int) -> None:
            names.append(key)
            records, total = sizes.get(KINDS[key[0]], (0, 0))
            sizes[KINDS[key[0]]] = records + 1, total + size

        for letter in "eit":
            for key, size, stored in self.store.records(f"{letter}:"):
                edit = key[2:].partition(":")[0]
                if bytes.fromhex(edit) not in used and stored <= latest:
                    drop(key, size)
                elif letter != "i" and (header := self.store.header(key)):
                    kept.add(str(header["pixels"]))
        for key, size, stored in self.store.records("v:"):
            header = self.store.header(key)
            if header and header.get("of", "") not in kept and stored <= latest:
                drop(key, size)
        return Unused(names, [Usage(kind, *counts) for kind, counts in sizes.items()])

    def delete(self, unused: Unused) -> Iterator[int]:
        """Delete records; yield how many are gone after every few hundred. Raises ``RunLocked``."""
        with self._alone():
            for start in range(0, len(unused.keys), _GROUP):
                self.store.delete_many(unused.keys[start : start + _GROUP])
                yield min(start + _GROUP, len(unused.keys))

    def clear(self) -> None:
        """Delete everything; the store is of no use then but to be closed. Raises ``RunLocked``."""
        with self._alone():
            for path in self.folder.glob(f"{DATABASE}*"):
                path.unlink()
            shutil.rmtree(self.folder / VALUES, ignore_errors=True)
            opening.drop_ballast(self.folder)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            with locks.alone(self.folder / opening.IN_USE, seconds=0):
                yield
        except locks.Held:
            live = [f"{run.folder.name}, {run.holder}" for run in self.runs() if run.holder]
            raise RunLocked(
                f"{self.folder} is in use by {'; '.join(live) or 'a run'}",
                hint="nothing was deleted; wait for the run, or stop it: it can be resumed",
            ) from None


def _edits(folder: Path) -> list[bytes]:
    """Return the keys of a run's edits; nothing where they cannot be read."""
    try:
        whole = (folder / KEYS).read_bytes()
    except OSError:
        return []
    return [whole[i : i + _SIZE] for i in range(0, len(whole), _SIZE)]
