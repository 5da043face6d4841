"""The store on disks that fill up, break or go away. Those that mount something need root."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import sqlite3
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from editbench.engine import opening
from editbench.engine.frame import Record
from editbench.engine.store import Store
from editbench.errors import StoreError, StoreFull

LARGE = random.Random(4).randbytes(300_000)
EXT4_IOC_SHUTDOWN, NOLOGFLUSH = 0x8004587D, 2

Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount something below the test's folder, or skip."""
    mounted: list[Path] = []

    def run(*options: str, source: str | Path = "none") -> Path:
        point = tmp_path / f"mount{len(mounted)}"
        point.mkdir(exist_ok=True)
        done = subprocess.run(
            ["mount", *options, str(source), str(point)], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"mounting is not permitted: {done.stderr.strip()}")
        mounted.append(point)
        return point

    if os.geteuid():
        pytest.skip("mounting needs root")
    yield run
    for point in reversed(mounted):
        subprocess.run(["umount", "-l", str(point)], check=True)


def fill(folder: Path, *, leave: int = 0) -> None:
    disk = os.statvfs(folder)
    with (folder / f"filler{disk.f_bavail}").open("wb") as file:
        for _ in range(disk.f_bavail - leave):
            file.write(bytes(disk.f_frsize))


def test_a_full_disk_keeps_what_is_stored(mount: Mount) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=8m")
    store = Store.open(disk / "store", reserve=0, ballast=2**20)
    kept = 0
    with pytest.raises(StoreFull):
        while store.add(f"e:{kept}", {"n": kept}, LARGE):
            kept += 1
    assert kept > 15
    fill(disk)
    with pytest.raises(StoreFull):
        store.add("e:more", {}, b"x")
    # The ballast is given up for what the run still has to write.
    assert store.add("v:1", {"text": "x" * 1000}, vital=True)
    assert not (disk / "store" / "ballast").exists()
    fill(disk)
    with pytest.raises(StoreFull, match="everything stored is safe") as caught:
        for n in range(10_000):
            store.add(f"v:more{n}", {"text": "x" * 1000}, vital=True)
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    for n in range(kept):
        assert store.get(f"e:{n}") == Record({"n": n}, LARGE)
    assert not any(one.problem for one in store.check())
    # And while nothing can be written, everything can be deleted.
    assert store.delete("e:0") > len(LARGE)
    assert store.add("v:late", {}, vital=True)
    store.close()


def test_a_full_disk_opens_for_reading(mount: Mount) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=8m")
    with Store.open(disk / "store", reserve=0, ballast=0) as store:
        store.add("e:1", {"n": 1}, LARGE)
    fill(disk)
    with Store.open(disk / "store", reserve=0, ballast=0) as store:
        assert store.read_only
        assert "its disk is full" in store.notices[0]
        assert store.get("e:1") == Record({"n": 1}, LARGE)
        assert list(store.headers("e:")) == [("e:1", {"n": 1})]
        with pytest.raises(StoreError, match="its disk is full"):
            store.add("e:2", {})
    next(disk.glob("filler*")).unlink()
    with Store.open(disk / "store", reserve=0, ballast=0) as store:
        assert not store.read_only
        assert store.add("e:2", {})


def test_the_ballast_lets_a_full_disk_be_opened_for_writing(mount: Mount) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=8m")
    with Store.open(disk / "store", reserve=0, ballast=2**20) as store:
        store.add("e:1", {"n": 1}, LARGE)
    fill(disk)
    with Store.open(disk / "store", reserve=0, ballast=2**20) as store:
        assert not store.read_only
        assert store.add("v:1", {}, vital=True)


def test_a_full_disk_without_a_store_is_said(mount: Mount) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=1m")
    fill(disk)
    with pytest.raises(StoreFull):
        Store.open(disk / "store")


def test_a_value_file_that_does_not_fit_leaves_nothing_behind(mount: Mount) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=4m")
    with Store.open(disk / "store", reserve=0, ballast=0) as store:
        fill(disk, leave=40)
        with pytest.raises(StoreFull):
            store.add("e:1", {}, LARGE, vital=True)
        assert list((disk / "store" / "values").iterdir()) == []
        assert store.add("v:1", {}, b"small", vital=True)


def test_a_read_only_disk_opens_for_reading(mount: Mount, tmp_path: Path) -> None:
    live = Store.open(tmp_path / "rw" / "store", ballast=0)
    live.add("e:1", {"n": 1}, LARGE)
    live.add("v:1", {"n": 2})  # still in SQLite's log, which a reader must take into account
    disk = mount("--bind", source=tmp_path / "rw")
    subprocess.run(["mount", "-o", "remount,ro,bind", str(disk)], check=True)

    def look(folder: Path) -> None:
        with Store.open(folder) as store:
            assert store.read_only
            assert "Read-only file system" in store.notices[0]
            assert store.get("e:1") == Record({"n": 1}, LARGE)
            assert store.header("v:1") == {"n": 2}

    look(disk / "store")
    copy = tmp_path / "rw" / "copy"
    subprocess.run(["cp", "-r", str(tmp_path / "rw" / "store"), str(copy)], check=True)
    (copy / "cache.db-shm").unlink()
    look(disk / "copy")  # as a power cut leaves it
    live.close()
    look(disk / "store")
    with pytest.raises(StoreError, match="Read-only file system"):
        Store.open(disk / "new")


def test_after_a_power_cut_everything_acknowledged_is_there(mount: Mount, tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(32 * 2**20)
    if subprocess.run(["mkfs.ext4", "-q", str(image)], capture_output=True).returncode:
        pytest.skip("mkfs.ext4 is not there")
    disk = mount("-o", "loop", source=image)
    store = Store.open(disk / "store", reserve=0, ballast=0)
    for n in range(20):
        assert store.add(f"e:{n}", {"n": n}, LARGE)
        assert store.add(f"v:{n}", {"n": n})
    switch = os.open(disk, os.O_RDONLY)
    fcntl.ioctl(switch, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
    os.close(switch)
    with pytest.raises(StoreError, match="Input/output error"):
        store.get("e:1")  # an error, not a miss
    with pytest.raises(StoreError):
        store.add("e:more", {}, LARGE)
    assert store.damaged == 0
    store.close()
    subprocess.run(["umount", str(disk)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(disk)], check=True)
    with Store.open(disk / "store", reserve=0, ballast=0) as store:
        for n in range(20):
            assert store.get(f"e:{n}") == Record({"n": n}, LARGE)
            assert store.get(f"v:{n}") == Record({"n": n}, b"")
        assert store.notices == []
        assert not any(one.problem for one in store.check())


def test_a_file_that_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(tmp_path, ballast=0) as store:
        write = os.write

        def partly(file: int, content: memoryview) -> int:
            if len(content) < len(LARGE):
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(file, content[:1000])

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", partly)
            with pytest.raises(StoreFull):
                store.add("e:1", {}, LARGE)
        assert list((tmp_path / "values").iterdir()) == []
        assert store.add("e:1", {}, LARGE)


@pytest.mark.parametrize("code", [errno.EDQUOT, errno.EIO])
def test_a_failed_sync_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(file: int) -> None:
        raise OSError(code, os.strerror(code))

    with Store.open(tmp_path, ballast=0) as store:
        with monkeypatch.context() as patch:
            patch.setattr("editbench.engine.disk._sync", fail)
            with pytest.raises(StoreFull if code == errno.EDQUOT else StoreError):
                store.add("e:1", {}, LARGE)
        assert list((tmp_path / "values").iterdir()) == []
        assert "e:1" not in store


@pytest.mark.parametrize("took_effect", [False, True])
def test_a_commit_that_fails_leaves_a_file_only_if_its_row_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, took_effect: bool
) -> None:
    with Store.open(tmp_path, ballast=0) as store:
        add = store._index._cache.add  # type: ignore[union-attr]

        def fail(*args: object, **more: object) -> bool:
            if took_effect:
                add(*args, **more)
            raise sqlite3.OperationalError("disk I/O error")

        with monkeypatch.context() as patch:
            patch.setattr(store._index._cache, "add", fail)  # type: ignore[union-attr]
            with pytest.raises(StoreError, match="disk I/O error"):
                store.add("e:1", {}, LARGE)
        assert ("e:1" in store) == took_effect
        assert len(list((tmp_path / "values").iterdir())) == took_effect
        assert not any(one.problem for one in store.check())
        assert store.add("e:1", {}, LARGE) is not took_effect


def test_a_vital_record_is_tried_again_once_the_ballast_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(tmp_path, ballast=1000) as store:
        add = store._index.add  # type: ignore[union-attr]

        def full_with_ballast(*args: str) -> bool:
            if (tmp_path / "ballast").exists():
                raise StoreFull("the disk is full")
            return add(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(store._index, "add", full_with_ballast)
        assert store.add("v:1", {}, vital=True)
        opening.take_ballast(tmp_path, size=1000, reserve=0)
        with pytest.raises(StoreFull):
            store.add("e:1", {}, LARGE)  # what is not vital does not eat what was set aside
        assert store.add("e:1", {}, LARGE)


def test_ballast_that_does_not_fit_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def partly(path: Path, content: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", partly)
        Store.open(tmp_path, ballast=1000).close()
    assert not (tmp_path / "ballast").exists()


def test_a_record_that_lives_in_its_row_stays_when_the_disk_cannot_forget_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(key: str) -> int:
        raise StoreFull("the disk is full")

    with Store.open(tmp_path, ballast=0) as store:
        store.add("v:1", {})
        with monkeypatch.context() as patch:
            patch.setattr(store._index, "delete", full)
            with pytest.raises(StoreFull):
                store.delete("v:1")
        assert store.get("v:1") == Record({}, b"")


def test_an_index_that_may_not_be_written_opens_for_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(tmp_path, ballast=0) as store:
        store.add("e:1", {}, LARGE)

    def refused(folder: Path, *, timeout: float) -> str:
        con = sqlite3.connect(f"{(folder / 'cache.db').as_uri()}?mode=ro", uri=True)
        try:
            con.execute("DELETE FROM Cache")
        finally:
            con.close()
        return "good"

    monkeypatch.setattr(opening, "condition", refused)
    with Store.open(tmp_path) as store:
        assert store.read_only
        assert "readonly database" in store.notices[0]
        assert store.get("e:1") == Record({}, LARGE)


def test_a_disk_that_is_gone_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(tmp_path, ballast=0) as store:

        def gone(folder: Path) -> object:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "statvfs", gone)
        with pytest.raises(StoreError, match="could not reach"):
            store.room()
