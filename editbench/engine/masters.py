"""A model's bytes beside the device: in host memory, in a file, or a part of them in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from editbench.engine import arena
from editbench.engine.arena import Layout
from editbench.engine.devices import Device, Stop, never
from editbench.engine.placement import Extent, intersect, subtract, total
from editbench.engine.weightfile import WeightFile, WeightFolder

if TYPE_CHECKING:
    import torch


class Master:
    """What loading a model copies from. Nothing is copied back to it: weights do not change.

    Making it moves the weights here and leaves placeholders: ``held`` is the part that stays in
    host memory, the rest goes to a file in ``folder``. Raises ``OutOfMemory`` and ``MachineError``;
    the model is then as it was.
    """

    def __init__(
        self, name: str, layout: Layout, device: Device, *, held: Extent, folder: WeightFolder
    ) -> None:
        self._device = device
        self._layout = layout
        self._held = held
        self._file: WeightFile | None = None
        self.memory = arena.host_memory(held.bytes)  #: what is in host memory
        filed = subtract((Extent(0, layout.bytes),), (held,))
        self.on_disk = total(filed)  #: bytes
        if filed:
            numbers = [number for extent in filed for number in arena.piece_numbers(extent)]
            self._file = folder.write(name, layout, numbers)
        # Nothing fails from here on, so that no model is left half taken.
        arena.collect(layout, self.memory, start=held.start, place=device.place)
        self.pinned = device.register(self.memory)

    def sums(self) -> list[int]:
        """Return the checksums of all pieces, in order."""
        found = dict(enumerate(arena.checksums(self.memory), self._held.start // arena.PIECE))
        if self._file:
            found |= self._file.sums
        return [found[number] for number in sorted(found)]

    def send(self, start: int, target: torch.Tensor, *, stop: Stop = never) -> int:
        """Copy the model's bytes from ``start`` on into the device's memory ``target``.

        Returns how many came from the file. Raises ``MachineError``, ``Stopped``, and
        ``RuntimeError`` when the device fails.
        """
        wanted = (Extent(start, start + target.numel()),)
        for first, last in intersect(wanted, (self._held,)):
            source = self.memory[first - self._held.start : last - self._held.start]
            self._device.copy(target[first - start : last - start], source, stop=stop)
        filed = subtract(wanted, (self._held,))
        for first, last in filed:
            assert self._file is not None
            self._file.send(first, target[first - start : last - start], stop=stop)
        return total(filed)

    def close(self) -> None:
        """Give the memory and the file back."""
        if self.pinned:
            self._device.unregister(self.memory)
        self.memory = arena.host_memory(0)  # a guard may hold on to the model, and so to this
        if self._file:
            self._file.close()
