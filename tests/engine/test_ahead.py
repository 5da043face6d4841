"""Files of a model are in the system's cache before the model is loaded."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from editbench.engine import ahead
from editbench.engine.ahead import ReadAhead, nearly_done, seconds_to_read
from tests.caches import evict, is_cached

SIZE = 3 * 2**20


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    made = [tmp_path / f"{number}.safetensors" for number in range(3)]
    for path in made:
        path.write_bytes(os.urandom(SIZE))
        evict(path)
    return made


def wait_for(test: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not test():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_what_was_read_ahead_is_in_memory(files: list[Path]) -> None:
    assert not any(map(is_cached, files))
    made = ReadAhead(files, most=10 * SIZE)
    wait_for(lambda: made.read == 3 * SIZE)
    assert all(map(is_cached, files))


def test_no_more_is_read_than_there_is_room_for(files: list[Path]) -> None:
    made = ReadAhead(files, most=SIZE + 1)
    wait_for(lambda: made.read == 2 * SIZE)
    time.sleep(0.05)
    assert [is_cached(path) for path in files] == [True, True, False]
    assert ReadAhead(files[2:], most=-1).read == 0


def test_a_file_that_cannot_be_read_is_left_out(files: list[Path]) -> None:
    some = [files[0].parent, files[0].with_name("gone"), files[0]]
    assert seconds_to_read(some) >= seconds_to_read(some[2:]) > seconds_to_read([])
    made = ReadAhead(some, most=10 * SIZE)
    wait_for(lambda: made.read == SIZE)
    assert is_cached(files[0])


def test_reading_ahead_can_be_stopped(files: list[Path]) -> None:
    made = ReadAhead([Path("/dev/zero")], most=2**62)
    wait_for(lambda: made.read > 0)
    made.stop()
    seen = -1
    while seen != (seen := made.read):
        time.sleep(0.05)


@pytest.mark.anyio
@pytest.mark.parametrize(("seconds", "calls"), [(1e9, 3), (0.0, 6)])
async def test_the_end_is_near_by_the_pace_so_far(
    monkeypatch: pytest.MonkeyPatch, seconds: float, calls: int
) -> None:
    monkeypatch.setattr(ahead, "_POLL", 0.0)
    counts = [2, 2, 3, 5, 8, 10]  # two were done before
    asked = iter(counts)
    await nearly_done(lambda: next(asked), 10, seconds=seconds)
    assert len(counts) - len(list(asked)) == calls
