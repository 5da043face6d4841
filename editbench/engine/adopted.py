"""A model that residency has taken charge of: where its weights are, and whether they are right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from editbench.engine import arena
from editbench.engine.arena import Layout
from editbench.engine.leaves import Loose
from editbench.engine.masters import Master
from editbench.engine.seals import Seal

if TYPE_CHECKING:
    import torch
    from torch.nn import Module


@dataclass(slots=True, eq=False)
class Adopted:
    """The state of one model."""

    name: str
    modules: Mapping[str, Module]
    loose: Loose
    moving: Layout
    fixed: Layout
    home: torch.Tensor  #: where the fixed tensors are
    master: Master  #: the bytes of the moving ones, beside the device
    seal: Seal
    sums: list[int] = field(default_factory=list)  #: of the pieces; none if nothing is verified
    verified: bool = False
    resident: bool = False
    leases: int = 0

    @property
    def bytes(self) -> int:
        return self.moving.bytes + self.fixed.bytes

    def bind(self, memory: torch.Tensor) -> None:
        """Point the moving tensors at their bytes on the device."""
        arena.bind(self.moving, memory)
        self.resident = True
        self.seal.set()

    def unbind(self, place: torch.device) -> None:
        """Point the moving tensors at placeholders."""
        arena.unbind(self.moving, place)
        self.resident = False
        self.seal.set()

    def damaged(self, memory: torch.Tensor) -> list[int]:
        """Return the numbers of the pieces that are not as they were when it was adopted."""
        pieces = zip(self.sums, arena.checksums(memory), strict=True)
        return [number for number, (sent, arrived) in enumerate(pieces) if sent != arrived]
