"""Disks for tests: small ones, ones that become read-only, and one that loses power."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SHUTDOWN = 0x8004587D  #: EXT4_IOC_SHUTDOWN
NO_FLUSH = 2  #: neither the page cache nor the journal's last entries reach the disk


class Disk:
    """A file system of its own, mounted at ``path``."""

    def __init__(self, path: Path, *options: str) -> None:
        self.path = path
        self._options = options
        path.mkdir(parents=True, exist_ok=True)

    def mount(self) -> None:
        """Mount it; skip the test where that is not allowed."""
        done = subprocess.run(["mount", *self._options, str(self.path)], capture_output=True)
        if done.returncode:
            pytest.skip(f"cannot mount here: {done.stderr.decode().strip()}")

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.path)], check=True, capture_output=True)

    def remount(self, option: str) -> None:
        """Change an option, such as ``ro``."""
        command = ["mount", "-o", f"remount,{option}", str(self.path)]
        subprocess.run(command, check=True, capture_output=True)

    def cut_power(self) -> None:
        """Lose at once what the disk has not been told to keep; everything fails from here on."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, NO_FLUSH.to_bytes(4, "little"))
        except OSError as exc:
            pytest.skip(f"this kernel does not shut a file system down: {exc.strerror}")
        finally:
            os.close(folder)

    def fill(self, name: str, size: int | None = None) -> Path:
        """Take ``size`` bytes, or all there are."""
        path = self.path / name
        file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        left = 2**40 if size is None else size
        block = bytes(2**16)
        try:
            while left:
                left -= os.write(file, block[:left])
        except OSError:
            pass  # full
        finally:
            os.close(file)
        return path


@contextmanager
def mounted(disk: Disk) -> Iterator[Disk]:
    """Have a disk for the length of a block."""
    disk.mount()
    try:
        yield disk
    finally:
        disk.unmount()


def memory_disk(path: Path, size: int) -> Disk:
    """Return a small disk in RAM."""
    return Disk(path, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")


def image_disk(path: Path, size: int) -> Disk:
    """Return an ext4 file system in a file, the kind of disk that can lose power."""
    image = path.with_suffix(".img")
    path.parent.mkdir(parents=True, exist_ok=True)
    with image.open("wb") as file:
        file.truncate(size)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        pytest.skip(f"cannot make an ext4 file system: {exc}")
    return Disk(path, "-o", "loop", str(image))
