from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from editbench.engine.pages import MappedFiles

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SIZE = 8 << 20


def mapped(path: Path) -> torch.Tensor:
    path.write_bytes(bytes(range(256)) * (SIZE // 256))
    return torch.from_file(str(path), shared=False, size=SIZE, dtype=torch.uint8)


def resident(memory: torch.Tensor) -> int:
    """Bytes of the mapping that are in memory."""
    start = f"{memory.data_ptr():x}-"
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    next(line for line in lines if line.startswith(start))
    return int(next(line for line in lines if line.startswith("Rss:")).split()[1]) * 1024


def test_pages_of_a_file_go_and_come_back(tmp_path: Path) -> None:
    memory = mapped(tmp_path / "weights")
    expected = memory.clone()
    assert resident(memory) == SIZE
    MappedFiles().let_go(memory.data_ptr(), SIZE // 2 + 100)
    assert resident(memory) == SIZE // 2
    assert torch.equal(memory, expected)


def test_pages_that_were_changed_keep_their_change(tmp_path: Path) -> None:
    memory = mapped(tmp_path / "weights")
    memory[5000] = 77
    expected = memory.clone()
    MappedFiles().let_go(memory.data_ptr(), SIZE)
    assert torch.equal(memory, expected)


def test_memory_that_is_no_file_is_left_alone() -> None:
    memory = torch.arange(SIZE, dtype=torch.uint8)
    expected = memory.clone()
    MappedFiles().let_go(memory.data_ptr(), SIZE)
    assert torch.equal(memory, expected)
