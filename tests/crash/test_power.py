"""A power cut: what was announced before it is there afterwards, to the last bit."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from editbench.engine.store import Store
from editbench.errors import StoreError
from tests.crash.mounts import Disk, image_disk, mounted
from tests.crash.sessions import Place

pytestmark = pytest.mark.crash

DISK = 2**30
CUTS = 4
SECONDS = 4.0  #: of writing before each cut, so that SQLite folds its log away meanwhile
SIZES = (300, 5_000, 60_000, 200_000)  #: two that live in their rows, two in files
_forks = multiprocessing.get_context("forkserver")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(image_disk(tmp_path / "disk", DISK)) as disk:
        yield disk


def payload(name: str) -> bytes:
    chance = random.Random(name)
    return chance.randbytes(chance.choice(SIZES))


def write(folder: Path, prefix: str, announce: Connection) -> None:
    """Store records until the disk fails, announcing each."""
    store = Store.open(folder, ballast=0)
    with suppress(StoreError):  # the power is off
        for n in range(10**6):
            key = f"{prefix}:{n}"
            if store.add(key, {"n": n}, payload(key)):
                announce.send_bytes(key.encode())


def announced(reader: Connection) -> list[str]:
    """Return all that a writer announces, once it has ended."""
    keys: list[str] = []
    with suppress(EOFError):
        while True:
            keys.append(reader.recv_bytes().decode())
    return keys


def test_everything_announced_before_a_power_cut_is_there_after_it(disk: Disk) -> None:
    folder = disk.path / "store"
    known: list[str] = []
    for cut in range(CUTS):
        writers = []
        for name in "ab":
            reader, writer = _forks.Pipe(duplex=False)
            process = _forks.Process(target=write, args=(folder, f"{name}{cut}", writer))
            process.start()
            writer.close()
            writers.append((process, reader))
        # A full pipe would hold the writers up: what they say is read from the start.
        with ThreadPoolExecutor(2) as pool:
            said = [pool.submit(announced, reader) for _, reader in writers]
            time.sleep(SECONDS)
            disk.cut_power()
            known += [key for keys in said for key in keys.result()]
        for process, reader in writers:
            process.join()
            process.close()
            reader.close()
        disk.unmount()
        disk.mount()
        with Store.open(folder, ballast=0) as store:
            for key in known:
                record = store.get(key)
                assert record is not None, f"cut {cut}: {key} is gone, of {len(known)}"
                assert record.payload == payload(key)
            assert store.damaged == 0
    assert len(known) > 1000
    print(f"\n{len(known)} announced results survived {CUTS} power cuts")


@pytest.mark.parametrize("moment", ["edit", "score"])
def test_a_run_goes_on_after_a_power_cut(
    moment: str, disk: Disk, suite: Path, undisturbed: Place, tmp_path: Path
) -> None:
    place = Place(tmp_path / "loud", suite, store=disk.path / "store", out=disk.path / "runs")
    with place.start() as session:
        assert session.until(moment, 6)
        disk.cut_power()
        session.send(signal.SIGKILL)
        session.read()
    place.kills += 1
    disk.unmount()
    disk.mount()
    session = place.finish()
    assert session.code == 0, session.err
    assert session.count("edit") + len(place.announced) >= len(undisturbed.announced)
    assert place.outcome() == undisturbed.outcome()
    place.check_store()
    assert [pair for pair, n in place.announced.items() if n > 1] == []
