from __future__ import annotations

import pytest
import torch

from editbench.engine import devices
from editbench.engine.arena import host_memory
from editbench.engine.devices import CpuDevice, open_device
from editbench.engine.simulated import Faults, SimDevice
from editbench.errors import MachineError, OutOfMemory, Stopped


def test_a_cpu_without_a_budget_is_the_hosts_own_memory() -> None:
    device = open_device("cpu")
    assert device.unified
    assert device.limit is None
    assert 0 < device.free() <= device.total()


def test_a_cpu_with_a_budget_is_a_device_of_that_size() -> None:
    device = open_device("cpu", budget=10_000)
    assert not device.unified
    assert device.limit == device.total() == device.free() == 10_000
    memory = device.allocate(6000)
    assert memory.data_ptr() % 512 == 0
    assert device.free() == 4000
    with pytest.raises(OutOfMemory, match=r"4\.00 kB of its budget of 10\.0 kB left, not 5\.00 kB"):
        device.allocate(5000)
    device.release(memory)
    assert device.free() == 10_000


def test_a_budget_may_be_a_share() -> None:
    whole = CpuDevice().total()
    device = open_device("cpu", budget=0.25)
    assert device.limit == pytest.approx(whole * 0.25, rel=0.2)


def test_auto_takes_a_gpu_only_where_there_is_one() -> None:
    expected = "cuda:0" if torch.cuda.is_available() else "cpu"
    assert open_device("auto").name == expected


@pytest.mark.parametrize("name", ["cuda:97", "mps", "tpu", "cuda:x", ""])
def test_a_device_that_is_not_there_is_refused_with_a_hint(name: str) -> None:
    with pytest.raises(MachineError) as caught:
        open_device(name)
    assert "memory.device" in caught.value.hint


def test_copies_are_counted_by_direction() -> None:
    device = CpuDevice(10_000)
    inside, outside = device.allocate(1000), host_memory(1000)
    device.copy(inside[:600], outside[:600])
    assert (device.copied_in, device.copied_back) == (600, 0)
    device.copy(outside[:50], inside[:50])
    assert (device.copied_in, device.copied_back) == (600, 50)


def test_chunks_end_where_pinned_pieces_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "CHUNK", 100)
    memory = host_memory(1000)
    assert list(devices.chunks(memory[250:470])) == [(0, 50), (50, 150), (150, 220)]
    assert list(devices.chunks(memory[300:300])) == []


def test_a_stop_is_heard_between_two_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "CHUNK", 100)
    device = CpuDevice(1000)
    target, source = device.allocate(500), host_memory(500)
    with pytest.raises(Stopped):
        device.copy(target, source, stop=lambda: device.copied_in >= 200)
    assert device.copied_in == 200


def test_a_simulated_device_keeps_its_own_time() -> None:
    device = SimDevice(10_000, bytes_per_second=1000)
    device.copy(device.allocate(2500), host_memory(2500))
    assert device.clock() == 2.5


def test_what_a_simulated_device_frees_reads_as_nan() -> None:
    device = SimDevice(10_000)
    memory = device.allocate(512)
    device.discard(memory[:256])
    assert memory.view(torch.bfloat16)[:128].isnan().all()
    assert not memory[256:].any()
    device.release(memory)
    assert memory.view(torch.float32).isnan().all()


def test_a_simulated_device_fails_when_it_is_told_to() -> None:
    device = SimDevice(10_000, faults=Faults(allocation=2, copy=2, damage=1, registration=1))
    memory = device.allocate(8)
    with pytest.raises(OutOfMemory):
        device.allocate(8)
    device.copy(memory, host_memory(8))
    assert memory.tolist() == [0] * 7 + [1]
    with pytest.raises(RuntimeError):
        device.copy(memory, host_memory(8))
    assert not device.register(memory)
