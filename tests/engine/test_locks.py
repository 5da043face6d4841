from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from editbench.engine.locks import Held, alone, shared
from editbench.errors import StoreError


def test_sharers_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with shared(tmp_path / "lock"), shared(tmp_path / "lock"):
        pass


def test_who_is_alone_waits_for_sharers_and_gives_up_in_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with shared(path), pytest.raises(Held, match="held by another process"):
        with alone(path, seconds=0):
            pytest.fail("both hold the lock")
    with alone(path, seconds=0):
        pass


def test_only_one_is_alone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with alone(path, seconds=0), pytest.raises(Held):
        with alone(path, seconds=0.02):
            pytest.fail("both hold the lock")


def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StoreError, match="cannot be locked") as caught, shared(tmp_path / "lock"):
        pytest.fail("it is not locked")
    assert "local disk" in caught.value.hint


def test_other_errors_of_the_disk_stay_what_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(file: int, how: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", break_down)
    with pytest.raises(OSError, match="Input/output"), shared(tmp_path / "lock"):
        pytest.fail("it is not locked")
