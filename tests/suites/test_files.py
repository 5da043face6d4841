from __future__ import annotations

import os
from pathlib import Path

import pytest

from editbench.errors import SuiteError
from editbench.suites.files import read_range


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "数字.txt"
    path.write_bytes(b"0123456789")
    return path


@pytest.mark.parametrize("most", [3, 100])
def test_a_range_is_whole_however_little_the_system_reads_at_once(
    file: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, size, at: pread(fd, min(size, most), at))
    assert read_range(file) == b"0123456789"
    assert read_range(str(file), 2, 7) == b"2345678"
    assert read_range(file, 4) == b"456789"
    assert read_range(file, 99) == read_range(file, 1, 0) == b""


def test_a_file_that_ends_too_early_has_changed(file: Path) -> None:
    with pytest.raises(SuiteError, match="ends before byte 11"):
        read_range(file, 1, 10)


@pytest.mark.parametrize(
    ("name", "said"),
    [("absent", "there is no file"), (".", "cannot read"), ("a\0b", "cannot be the name")],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(SuiteError, match=said):
        read_range(f"{tmp_path}/{name}")
