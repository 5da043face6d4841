"""Our way to have two models take turns, step by step, so that each shows what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from common import work_folder
from movers import Alternating, Copied, Mover
from weights import Modules

from editbench.engine import arena
from editbench.engine.devices import Device
from editbench.engine.leaves import leaves
from editbench.engine.residency import ResidencyManager

if TYPE_CHECKING:
    import torch


class Arena(Alternating):
    """A model's weights in one exactly sized, pinned piece, copied whole into new device memory."""

    label = "ours: arena"

    def __init__(self, device: Device, *, room: int | None) -> None:
        super().__init__(device, room=room)
        self.masters: dict[str, tuple[arena.Layout, torch.Tensor]] = {}
        self.memory: torch.Tensor | None = None

    def take(self, name: str, modules: Modules) -> None:
        super().take(name, modules)
        to_host(modules, self.device)
        layout = arena.lay_out(leaves(modules))
        master = arena.host_memory(layout.bytes)
        arena.fill(layout, master)
        self.device.register(master)
        self.masters[name] = layout, master
        self._send_away(name)

    def copied(self) -> Copied:
        return Copied(self.device.copied_in, self.device.copied_back)

    def pinned(self) -> int:
        return super().pinned() + sum(master.numel() for _, master in self.masters.values())

    def _send_away(self, name: str) -> None:
        arena.unbind(self.masters[name][0], self.place)

    def _bring(self, name: str) -> None:
        layout, master = self.masters[name]
        memory = self._allocate(layout.bytes)
        self.device.copy(memory[: layout.bytes], master)
        self.device.synchronize()
        arena.bind(layout, memory)

    def _allocate(self, size: int) -> torch.Tensor:
        if self.memory is not None:
            self.device.release(self.memory)
            self.memory = None
            self.device.empty_cache()
        self.most = max(self.most, size)
        self.memory = self.device.allocate(size)
        return self.memory


class ArenaAndRegion(Arena):
    """The device's memory is allocated once, for the larger of both."""

    label = "ours: + region"

    def _allocate(self, size: int) -> torch.Tensor:
        if self.memory is None:
            largest = max(layout.bytes for layout, _ in self.masters.values())
            return super()._allocate(largest)
        return self.memory


class Overlay(Mover):
    """``ResidencyManager``: the models lie at two ends of a region and share its middle."""

    label = "ours: + overlay"

    def __init__(self, device: Device, *, room: int | None) -> None:
        super().__init__(device, room=room)
        self.manager = ResidencyManager(device)

    def take(self, name: str, modules: Modules) -> None:
        super().take(name, modules)
        to_host(modules, self.device)
        self.manager.adopt(name, modules)

    def ready(self, *, step: int) -> None:
        sizes = {name: self.manager.bytes(name) for name in self.modules}
        reserve = step if self.room is None else self.device.free() - self.room
        self.manager.plan(sizes, reserve=reserve)

    def switch(self, name: str) -> None:
        self.manager.acquire(name)
        self.most = max(self.most, self.manager.used)

    def copied(self) -> Copied:
        return Copied(self.device.copied_in, self.manager.moved_back)

    def pinned(self) -> int:
        return super().pinned() + self.manager.host_used - self.manager.pageable


class FromFile(Overlay):
    """The same where host memory cannot hold both masters: the editor's is a file on this disk."""

    label = "ours: overlay, editor in a file"

    def __init__(self, device: Device, *, room: int | None) -> None:
        super().__init__(device, room=room)
        self.manager = ResidencyManager(device, folder=work_folder())
        self.manager.plan({}, in_memory={"editor": 0})

    def host_bytes(self, parameters: Mapping[str, Sequence[int]]) -> int:
        return max(map(sum, parameters.values()))


def to_host(modules: Modules, device: Device) -> None:
    """Put a model where a loaded one is before it is adopted."""
    for module in modules.values():
        module.to("cpu")
    device.empty_cache()
