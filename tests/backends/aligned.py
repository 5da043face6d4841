"""Puts a module's parameters where the engine would: into one buffer, each on its own boundary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

BOUNDARY = 64  #: bytes; torch's results depend on how memory is aligned below this


def place(modules: Mapping[str, Any]) -> torch.Tensor:
    """Re-point every parameter and floating buffer into a fresh buffer; return it."""
    tensors = {
        id(tensor): tensor
        for module in modules.values()
        for tensor in [*module.parameters(), *module.buffers()]
    }.values()
    sizes = [-(-tensor.nbytes // BOUNDARY) * BOUNDARY for tensor in tensors]
    room = torch.empty(sum(sizes) + BOUNDARY, dtype=torch.uint8)
    start = -room.data_ptr() % BOUNDARY
    for tensor, size in zip(tensors, sizes, strict=True):
        place = room[start : start + tensor.nbytes].view(tensor.dtype).view(tensor.shape)
        place.copy_(tensor.data)
        tensor.data = place
        start += size
    return room
