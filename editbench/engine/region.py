"""The device memory that models take turns in, and whose bytes it holds at the moment."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from editbench.engine.devices import Device
from editbench.engine.placement import (
    Claim,
    Extents,
    Placement,
    Together,
    aligned,
    claim,
    intersect,
    largest,
    overlay,
    subtract,
)
from editbench.errors import DoesNotFit
from editbench.units import format_bytes

if TYPE_CHECKING:
    import torch

BUFFERS = 16 << 10  #: bytes left for the buffers of models still to come, where there is a choice

log = logging.getLogger(__name__)


class Region:
    """One allocation, made at the first load, in which every model has its own extent.

    Sizes may change until then at no cost. Afterwards a size that leaves the loaded models where
    they are costs nothing either; any other makes the region outgrown, and it is to be dropped
    and every model loaded anew from its master.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._sizes: dict[str, int] = {}
        self._together: Collection[Together] = ()
        self._reserve = 0
        self._tight = False
        self._limit = 0  # bytes it might have had when it was allocated
        self._memory: torch.Tensor | None = None
        self._placement = Placement(0, {})
        self._held: dict[str, Extents] = {}

    @property
    def bytes(self) -> int:
        """What it takes on the device."""
        return 0 if self._memory is None else self._memory.numel()

    @property
    def outgrown(self) -> bool:
        """Whether the models no longer fit in it as they are. Raises ``DoesNotFit``."""
        return self._memory is not None and not self._suits(self._wanted())

    def plan(
        self, sizes: Mapping[str, int], *, together: Collection[Together], reserve: int
    ) -> Placement:
        """Take note of all sizes and place them. Raises ``DoesNotFit`` and notes nothing."""
        capacity = self._capacity(sizes, together, reserve)
        placement = overlay(sizes, capacity=capacity, together=together)
        self._sizes, self._together, self._reserve = dict(sizes), together, reserve
        return placement

    def end_is_contested(self, name: str, size: int) -> bool:
        """Return whether other models lie over the end of this one rather than its beginning."""
        sizes = {**self._sizes, name: size}
        with suppress(DoesNotFit):
            capacity = self._capacity(sizes, self._together, self._reserve)
            extents = overlay(sizes, capacity=capacity, together=self._together).extents
            home = extents[name]
            others = (extent for other, extent in extents.items() if other != name)
            shared = intersect((home,), tuple(others))
            return bool(shared) and shared[0].start > home.start
        return False

    def resize(self, name: str, size: int) -> None:
        """Take note of how many bytes a model really has."""
        self._sizes[name] = size

    def claim(self, name: str) -> Claim:
        """Say what loading a model would copy, and who would lose bytes. Raises ``DoesNotFit``."""
        placement = self._wanted()
        if self._memory is None or not self._suits(placement):
            return Claim((placement.extents[name],), dict(self._held))
        return claim(placement, self._held, name=name)

    def load(self, name: str, send: Callable[[int, torch.Tensor], object]) -> torch.Tensor:
        """Have ``send`` copy what the region lacks of a model; return the model's bytes in it.

        ``send`` is called with where in the model to start and the memory to fill. Nothing may
        point at bytes that others lose. If it raises, what was whole stays whole, and the model is
        not.
        """
        placement = self._wanted()
        if self._memory is None:
            limit = self._capacity(self._sizes, self._together, self._reserve)
            self._memory = self._device.allocate(placement.capacity)
            self._limit = limit
            log.debug("the region on %s is %s", self._device.name, format_bytes(self.bytes))
        self._placement = placement
        missing, lost = claim(placement, self._held, name=name)
        for other, extents in lost.items():
            self._lose(other, extents)
        home = placement.extents[name]
        for start, end in missing:
            send(start - home.start, self._memory[start:end])
        self._device.synchronize()
        self._held[name] = (home,)
        return self._memory[home.start : home.end]

    def discard(self, name: str) -> None:
        """Let go of a model's bytes."""
        self._lose(name, self._held.get(name, ()))

    def drop(self) -> None:
        """Give the memory back. Nothing may point into it."""
        if self._memory is not None:
            self._device.release(self._memory)
        self._memory = None
        self._held.clear()

    def tighten(self) -> bool:
        """From the next load on take no more than the largest model, or set of them, needs.

        Returns whether that gives memory back.
        """
        least = largest(self._sizes, self._together)
        self._tight = self._tight or self.bytes > least
        return self.bytes > least

    def _capacity(
        self, sizes: Mapping[str, int], together: Collection[Together], reserve: int
    ) -> int:
        room = self._device.free() + self.bytes - reserve
        least = largest(sizes, together)
        if self._tight:
            return min(room, least)
        if sum(map(aligned, sizes.values())) <= room:
            return room
        return max(room - BUFFERS, min(room, least))

    def _wanted(self) -> Placement:
        if self._memory is not None:
            with suppress(DoesNotFit):
                placement = overlay(self._sizes, capacity=self._limit, together=self._together)
                if self._suits(placement):
                    return placement
        capacity = self._capacity(self._sizes, self._together, self._reserve)
        return overlay(self._sizes, capacity=capacity, together=self._together)

    def _suits(self, placement: Placement) -> bool:
        return placement.capacity <= self.bytes and all(
            placement.extents[name] == self._placement.extents[name] for name in self._held
        )

    def _lose(self, name: str, extents: Extents) -> None:
        if self._memory is None:
            return
        left = subtract(self._held.pop(name, ()), extents)
        if left:
            self._held[name] = left
        for start, end in extents:
            self._device.discard(self._memory[start:end])
