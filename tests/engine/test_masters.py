"""Masters that host memory does not hold: in files, read back piece by piece."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from editbench.engine import arena, ring, weightfile
from editbench.engine.residency import ResidencyManager
from editbench.engine.simulated import Faults, SimDevice
from editbench.errors import MachineError, Stopped
from tests.engine.networks import judge
from tests.engine.stage import EDITOR, JUDGE, SIZES, TIGHT, Stage, expected

PIECE = 16 << 10  #: cuts models of a few hundred kilobytes into dozens of pieces


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arena, "PIECE", PIECE)


def stage(folder: Path, *, editor: int = 0, judge: int = 0, keep: bool = False) -> Stage:
    """Both models, with so many bytes of each in host memory and the rest in files."""
    in_memory = {"editor": editor, "judge": judge}
    device = SimDevice(TIGHT)
    return Stage(device, in_memory=in_memory, folder=folder, keep_files=keep, verify="always")


def opened(folder: Path) -> list[str]:
    """What this process has open in a folder, files without a name among it."""
    links = (Path("/proc/self/fd") / number for number in os.listdir("/proc/self/fd"))
    found = (os.readlink(link) for link in links if link.is_symlink())
    return [target for target in found if target.startswith(f"{folder}/")]


@settings(max_examples=15)
@given(editor=st.integers(0, EDITOR + 9), judge=st.integers(0, JUDGE + 9))
def test_wherever_masters_lie_outputs_are_the_same_and_only_the_overlap_moves(
    tmp_path_factory: pytest.TempPathFactory, editor: int, judge: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arena, "PIECE", PIECE)
        folder = tmp_path_factory.mktemp("weights")
        both = stage(folder, editor=editor, judge=judge)
        manager = both.manager
        slots = ring.SLOTS * PIECE if manager.on_disk else 0
        masters = manager.host_used - slots
        assert masters + manager.on_disk == EDITOR + JUDGE
        assert masters <= min(editor, EDITOR) + min(judge, JUDGE)
        assert masters >= editor // PIECE * PIECE + judge // PIECE * PIECE - PIECE
        homes = {}
        for name in ("editor", "judge") * 3:
            move = manager.acquire(name)
            assert torch.equal(both.run(name), expected(name))
            assert both.addresses(name) == homes.setdefault(name, both.addresses(name))
        overlap = manager.plan(SIZES).overlap("editor", "judge")
        assert move.bytes == overlap
        assert (move.from_disk == 0) == (judge >= overlap + PIECE or judge >= JUDGE)
        assert manager.moved_back == 0
        manager.close()
        assert both.device.free() == TIGHT
        assert os.listdir(folder) == opened(folder) == []


def test_the_file_holds_the_arena_piece_by_piece_and_is_gone_with_the_run(tmp_path: Path) -> None:
    both = stage(tmp_path, editor=EDITOR)
    assert both.manager.on_disk == JUDGE
    assert os.listdir(tmp_path) == []
    (link,) = opened(tmp_path)
    both.manager.forget("judge")
    assert opened(tmp_path) == []
    assert "(deleted)" in link


def test_bytes_that_are_loaded_again_are_the_ones_in_memory(tmp_path: Path) -> None:
    whole = Stage(SimDevice(TIGHT))
    overlap = whole.manager.plan(SIZES).overlap("editor", "judge")
    both = stage(tmp_path, editor=overlap + PIECE, judge=overlap + PIECE)
    first = [both.manager.acquire(name).from_disk for name in SIZES]
    assert all(0 < read < size for read, size in zip(first, SIZES.values(), strict=True))
    again = [both.manager.acquire(name).from_disk for name in SIZES]
    assert again == [0, 0]


def test_a_kept_file_is_found_by_what_is_in_it_and_written_once(tmp_path: Path) -> None:
    for _ in range(2):
        both = stage(tmp_path, keep=True)
        assert both.intact()
        both.manager.close()
        files = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        assert len(files) == 2
    again = stage(tmp_path, keep=True)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files
    assert len(opened(tmp_path)) == 2 and all(
        path in opened(tmp_path) for path in map(str, tmp_path.iterdir())
    )
    assert again.intact()
    other = ResidencyManager(SimDevice(TIGHT), folder=tmp_path, keep_files=True)
    other.plan({"judge": JUDGE}, in_memory={"judge": 0})
    model = judge()
    with torch.no_grad():
        model.lm_head.weight[0, 0] += 1  # other weights of the same shape
    other.adopt("judge", {"m": model})
    assert len(list(tmp_path.iterdir())) == 3


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        old = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([old[0] ^ 1]))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - weightfile.BLOCK)


@pytest.mark.parametrize("harm", [damage, cut])
def test_a_kept_file_that_was_harmed_is_written_anew(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    stage(tmp_path, keep=True).manager.close()
    for path in tmp_path.iterdir():
        harm(path)
    assert stage(tmp_path, keep=True).intact()


@pytest.mark.parametrize(
    ("harm", "message"), [(damage, "were damaged on disk"), (cut, "ends 4096 bytes early")]
)
def test_a_file_that_is_harmed_while_it_is_in_use_is_an_error_and_the_next_run_works(
    tmp_path: Path, harm: Callable[[Path], None], message: str
) -> None:
    both = stage(tmp_path, keep=True)
    for path in tmp_path.iterdir():
        harm(path)
    for name in SIZES:
        with pytest.raises(MachineError, match=message) as caught:
            both.manager.acquire(name)
        assert "run again" in caught.value.hint
        assert name not in both.manager.resident
    both.manager.close()
    assert both.device.free() == TIGHT
    assert stage(tmp_path, keep=True).intact()


def test_a_failed_read_leaves_the_master_whole(tmp_path: Path) -> None:
    both = stage(tmp_path)
    for name in SIZES:
        for nth in (1, 2, 9):
            both.device.faults = Faults(read=both.device.counts["read"] + nth)
            both.manager.evict(name) if name in both.manager.resident else None
            with pytest.raises(MachineError, match=f"weights of {name} cannot be read back"):
                both.manager.acquire(name)
        assert name not in both.manager.resident
    both.device.faults = Faults()
    assert both.intact()


def test_a_stop_is_heard_between_pieces_and_the_load_can_be_repeated(tmp_path: Path) -> None:
    both = stage(tmp_path)
    before = both.device.counts["copy"]
    with pytest.raises(Stopped):
        both.manager.acquire("judge", stop=lambda: both.device.counts["copy"] == before + 3)
    assert both.device.counts["copy"] == before + 3
    assert both.intact()


def test_a_disk_that_cannot_be_written_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    model = judge()
    homes = [p.data_ptr() for p in model.parameters()]
    manager = ResidencyManager(device := SimDevice(TIGHT), folder=blocked)
    manager.plan({"judge": JUDGE}, in_memory={"judge": 0})
    with pytest.raises(MachineError, match="cannot put weights of judge on disk") as caught:
        manager.adopt("judge", {"m": model})
    assert "memory.weights" in caught.value.hint
    assert [p.data_ptr() for p in model.parameters()] == homes
    assert device.free() == TIGHT
    manager.plan({"judge": JUDGE})
    manager.adopt("judge", {"m": model})
    manager.acquire("judge")


def test_where_files_without_a_name_or_direct_reading_are_missing_it_works_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weightfile, "_TMPFILE", 0)
    monkeypatch.setattr(weightfile, "_DIRECT", 0)
    both = stage(tmp_path, keep=True)
    assert both.manager.on_disk == EDITOR + JUDGE
    assert os.listdir(tmp_path) == []
    assert both.intact()
