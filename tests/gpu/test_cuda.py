"""What the simulated device promises, held by a real one. Skipped where there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from editbench.engine import arena, cuda, devices
from editbench.engine.arena import host_memory
from editbench.engine.cuda import CudaDevice
from editbench.engine.devices import open_device
from editbench.engine.residency import ResidencyManager
from editbench.errors import BackendError, MachineError, NotResident, OutOfMemory, Stopped
from tests.engine.networks import transformer
from tests.engine.stage import JUDGE, ROLES, SIZES, Stage

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]

TIGHT = JUDGE + (256 << 10)
MASTERS = {"in memory": None, "in files": {"editor": 0, "judge": JUDGE // 2}}


class Small(CudaDevice):
    """A GPU whose region can hold one model and a bit of the other."""

    def free(self) -> int:
        return TIGHT - torch.cuda.memory_allocated(self.place) + self._before

    def __init__(self) -> None:
        super().__init__(0)
        self._before = torch.cuda.memory_allocated(self.place)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(devices, "CHUNK", 64 << 10)
    monkeypatch.setattr(cuda, "PIN_CHUNK", 128 << 10)
    monkeypatch.setattr(arena, "PIECE", 64 << 10)
    before = torch.cuda.memory_allocated()
    yield
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() <= before + (64 << 10)  # rotary tables of the models


@pytest.mark.parametrize("masters", MASTERS)
def test_ten_cycles_change_no_bit_and_move_only_the_overlap(masters: str, tmp_path: Path) -> None:
    stage = Stage(Small(), in_memory=MASTERS[masters], folder=tmp_path, verify="always")
    manager = stage.manager
    assert manager.pageable == 0
    outputs: dict[str, torch.Tensor] = {}
    homes: dict[str, list[int]] = {}
    for turn in range(10):
        for name in ROLES:
            before = stage.device.copied_in
            move = manager.acquire(name)
            assert stage.device.copied_in - before == move.bytes
            assert 0 < move.bytes < SIZES[name] or not turn
            output = stage.run(name)
            assert output.is_cuda and not output.isnan().any()
            assert torch.equal(output, outputs.setdefault(name, output))
            assert stage.addresses(name) == homes.setdefault(name, stage.addresses(name))
        with pytest.raises(NotResident):
            ROLES["editor"].run(stage.models["editor"])
        weights = list(stage.models["editor"].parameters())
        assert all(weight.is_cuda and weight.isnan().all() for weight in weights)
    assert manager.moved_back == 0
    manager.close()


def test_outputs_are_those_of_a_model_that_was_simply_put_there() -> None:
    expected = {name: role.run(role.build().cuda()) for name, role in ROLES.items()}
    stage = Stage(Small())
    for name in (*ROLES, *ROLES):
        stage.manager.acquire(name)
        assert torch.equal(stage.run(name), expected[name])
    stage.manager.close()


def test_only_what_is_copied_in_crosses_the_link() -> None:
    stage = Stage(Small(), verify="off")
    for name in ROLES:
        stage.manager.acquire(name)
        stage.run(name)
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        move = stage.manager.acquire("editor")
    rows = {event.key for event in profile.key_averages()}
    assert move.bytes and any("HtoD" in row and "Pinned" in row for row in rows)
    assert not any("DtoH" in row for row in rows)
    stage.manager.close()


def test_pinned_memory_is_copied_whole_and_given_back() -> None:
    device = CudaDevice(0)
    source = host_memory(3 * cuda.PIN_CHUNK + 512)
    source.copy_(torch.arange(source.numel()).to(torch.uint8))
    assert device.register(source)
    assert source[cuda.PIN_CHUNK :].is_pinned()
    memory = device.allocate(source.numel())
    assert memory.data_ptr() % 512 == 0
    device.copy(memory, source)()
    assert torch.equal(memory.cpu(), source)
    assert (device.copied_in, device.copied_back) == (source.numel(), 0)
    device.unregister(source)
    assert device.register(source)
    device.unregister(source)


def test_memory_that_cannot_be_pinned_leaves_no_error_behind() -> None:
    device = CudaDevice(0)
    source = host_memory(4 * cuda.PIN_CHUNK)
    assert device.register(source[2 * cuda.PIN_CHUNK : 3 * cuda.PIN_CHUNK])
    assert not device.register(source)  # its third part is pinned already
    assert torch.ones(3, device=device.place).sum() == 3
    device.unregister(source[2 * cuda.PIN_CHUNK : 3 * cuda.PIN_CHUNK])
    assert device.register(source)  # the first two parts were let go of
    device.unregister(source)


@pytest.mark.parametrize("masters", MASTERS)
def test_a_stop_is_heard_and_the_load_can_be_repeated(masters: str, tmp_path: Path) -> None:
    stage = Stage(Small(), in_memory=MASTERS[masters], folder=tmp_path, verify="always")
    stage.manager.acquire("editor")
    before = stage.device.copied_in
    with pytest.raises(Stopped):
        stage.manager.acquire("judge", stop=lambda: stage.device.copied_in > before)
    assert stage.manager.resident == ()
    stage.manager.acquire("judge")
    assert not stage.run("judge").isnan().any()
    stage.manager.close()
    assert os.listdir(tmp_path) == []


def test_damage_on_the_way_is_found() -> None:
    stage = Stage(Small(), verify="always")
    stage.manager._models["judge"].master.memory[1000] ^= 1
    with pytest.raises(MachineError, match="judge arrived damaged on cuda:0"):
        stage.manager.acquire("judge")
    stage.manager.close()


def test_a_device_that_is_full_is_our_error_and_a_budget_is_kept() -> None:
    with pytest.raises(OutOfMemory, match="cuda:0 could not hold"):
        CudaDevice(0).allocate(1 << 50)
    limited = open_device("cuda:0", budget=0.5)
    try:
        assert limited.limit == pytest.approx(CudaDevice(0).total() / 2, rel=0.01)
        assert limited.free() <= limited.total()
        with pytest.raises(OutOfMemory):
            limited.allocate(int(limited.total() * 1.1))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_a_model_that_is_on_the_gpu_already_is_refused() -> None:
    with pytest.raises(BackendError, match="is on cuda:0, not in host memory"):
        ResidencyManager(CudaDevice(0)).adopt("m", {"m": transformer().cuda()})


def test_swaps_compile_nothing_anew() -> None:
    from torch._dynamo.testing import CompileCounterWithBackend

    counter = CompileCounterWithBackend("inductor")
    stage = Stage(Small())
    plain = dict(stage.models)
    stage.models = {name: torch.compile(model, backend=counter) for name, model in plain.items()}
    compiled = []
    outputs: dict[str, torch.Tensor] = {}
    for _ in range(3):
        for name in ROLES:
            stage.manager.acquire(name)
            output = stage.run(name)
            assert torch.equal(output, outputs.setdefault(name, output))
            compiled.append(counter.frame_count)
    assert compiled[1:] == [compiled[1]] * 5
    torch.compiler.reset()
    stage.manager.close()
