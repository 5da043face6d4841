"""Opens a store's folder for writing: makes it, repairs it, and sets its ballast aside."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from editbench.engine import repair
from editbench.engine.database import DATABASE, condition
from editbench.engine.disk import VALUES, sync_folder
from editbench.engine.index import Index
from editbench.engine.locks import alone
from editbench.engine.mounts import filesystem, is_network
from editbench.engine.store_errors import as_store_error, is_full

WRITING = "write.lock"  #: shared by writers; alone for who moves files that are not its own
IN_USE = "use.lock"  #: shared by runs; alone for who deletes what runs may need
_OPENING, _BALLAST = "open.lock", "ballast"


def open_index(folder: Path, *, timeout: float, sync: bool) -> tuple[Index, list[str]]:
    """Open a folder's index, repaired if it must be, and return it with notices for the user.

    Raises ``StoreError``; ``OSError`` and ``sqlite3.Error`` where the disk does not let it.
    """
    notices = _prepare(folder)
    with alone(folder / _OPENING, seconds=timeout):
        try:
            index, found = _open_or_rebuild(folder, timeout=timeout, sync=sync)
        except (OSError, sqlite3.Error) as exc:
            # Opening writes a little, which the ballast has room for.
            if not is_full(exc) or not drop_ballast(folder):
                raise
            index, found = _open_or_rebuild(folder, timeout=timeout, sync=sync)
    return index, notices + found


def take_ballast(folder: Path, *, size: int, reserve: int) -> None:
    """Occupy some disk that can be given up later, if there is plenty."""
    path = folder / _BALLAST
    with suppress(OSError):
        if path.exists() or free_bytes(folder) < reserve + 2 * size:
            return
        try:
            path.write_bytes(bytes(size))
        except OSError:
            path.unlink()
            raise


def drop_ballast(folder: Path) -> bool:
    """Give the ballast up, and tell whether there was any."""
    try:
        (folder / _BALLAST).unlink()
    except OSError:
        return False
    return True


def free_bytes(folder: Path) -> int:
    """Return the bytes that the folder's disk has for us. Raises ``StoreError``."""
    disk = _disk(folder)
    return disk.f_bavail * disk.f_frsize


def disk_bytes(folder: Path) -> int:
    """Return the bytes of the folder's disk, used ones included. Raises ``StoreError``."""
    disk = _disk(folder)
    return disk.f_blocks * disk.f_frsize


def _disk(folder: Path) -> os.statvfs_result:
    try:
        return os.statvfs(folder)
    except OSError as exc:
        raise as_store_error(exc, "reach", folder) from exc


def _prepare(folder: Path) -> list[str]:
    """Make the folder if need be, for this user alone."""
    new = not folder.exists()
    if new:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    notices = []
    if folder.stat().st_mode & 0o077:
        if (folder / DATABASE).exists() or not any(folder.iterdir()):
            folder.chmod(0o700)
        else:
            notices.append(f"others on this machine may be able to read {folder}")
    if not (folder / VALUES).exists():
        (folder / VALUES).mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder)
        if new:
            sync_folder(folder.parent)
    kind = filesystem(folder)
    if is_network(kind):
        notices.append(
            f"{folder} is on a network file system ({kind}), where SQLite can lose data:"
            " a local folder is safer and faster"
        )
    return notices


def _open_or_rebuild(folder: Path, *, timeout: float, sync: bool) -> tuple[Index, list[str]]:
    state = condition(folder, timeout=timeout)
    if state == "good":
        return Index(folder, timeout=timeout, sync=sync), []
    with alone(folder / WRITING, seconds=timeout):
        if state == "damaged":
            repair.set_aside(folder)
        index = Index(folder, timeout=timeout, sync=sync)
        try:
            count = repair.rebuild(index, folder)
            index.finish()
        except BaseException:
            index.close()
            raise
    sync_folder(folder)
    if state == "damaged":
        kept = f"; the old one is kept as {repair.ASIDE}"
        return index, [f"the index of {folder} was damaged: {count} records were recovered{kept}"]
    return index, [f"the index of {folder} was made anew: {count} records found"] if count else []
