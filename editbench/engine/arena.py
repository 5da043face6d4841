"""One exactly sized piece of memory for all weights of a model, and pointing the model at it.

The arena in host memory is the master: weights do not change, so nothing is ever copied back to it.
Does not cover what the weights are (see leaves) or when they move (see residency).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from editbench.engine.leaves import Group
from editbench.engine.pages import MappedFiles, trim_heap
from editbench.engine.placement import Extent, aligned, intersect
from editbench.errors import OutOfMemory
from editbench.units import format_bytes

if TYPE_CHECKING:
    import torch

PIECE = 8 << 20  #: bytes under one checksum; what a processor's cache holds
_TRIM = 64 << 20  #: bytes let go of between two requests that the heap shrink


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The groups of a model one after the other, each with its offset."""

    groups: tuple[tuple[Group, int], ...]
    bytes: int


def lay_out(groups: Iterable[Group]) -> Layout:
    """Give every group its aligned offset."""
    placed: list[tuple[Group, int]] = []
    end = 0
    for group in groups:
        placed.append((group, end))
        end += aligned(group.bytes)
    return Layout(tuple(placed), end)


def host_memory(size: int) -> torch.Tensor:
    """Return ``size`` zero bytes of host memory at the start of a page. Raises ``OutOfMemory``.

    The memory is exactly that large, where a pinned allocation of torch's is rounded up to a power
    of two.
    """
    import torch

    if size == 0:
        return torch.empty(0, dtype=torch.uint8)
    try:
        if hasattr(mmap, "MAP_PRIVATE"):
            pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        else:
            pages = mmap.mmap(-1, size)
    except (OSError, ValueError) as exc:
        raise OutOfMemory(
            f"the host could not hold {format_bytes(size)} of weights",
            hint="close other programs, or choose a smaller or quantized model",
        ) from exc
    # Not MADV_HUGEPAGE: the first touch was two to six times slower, later passes no faster.
    with suppress(OSError):  # a kernel built without it
        if hasattr(mmap, "MADV_DONTFORK"):
            pages.madvise(mmap.MADV_DONTFORK)
    return torch.frombuffer(pages, dtype=torch.uint8)


def fill(layout: Layout, memory: torch.Tensor) -> None:
    """Copy the weights into ``memory`` and point the model at it.

    Each original is let go of as it lands, so that host memory peaks at the arena and one group.
    """
    for group, offset in _one_by_one(layout):
        memory[offset : offset + group.bytes] = group_bytes(group)
        _bind(group, memory, offset)


def collect(layout: Layout, memory: torch.Tensor, *, start: int, place: torch.device) -> None:
    """Copy what ``memory`` holds of the weights, from ``start`` on, and point the model away.

    Originals are let go of one by one, as by ``fill``; placeholders are as by ``unbind``.
    """
    fillers = _Fillers(place)
    for group, offset in _one_by_one(layout):
        source, held = Extent(offset, offset + group.bytes), Extent(start, start + memory.numel())
        for first, last in intersect((source,), (held,)):
            part = group_bytes(group)[first - offset : last - offset]
            memory[first - start : last - start] = part
        _unbind(group, fillers)


def _one_by_one(layout: Layout) -> Iterator[tuple[Group, int]]:
    dropped, files = 0, MappedFiles()
    for group, offset in layout.groups:
        address = group_bytes(group).data_ptr()
        yield group, offset
        files.let_go(address, group.bytes)
        dropped += group.bytes
        if dropped >= _TRIM:
            dropped = 0
            trim_heap()
    trim_heap()


def group_bytes(group: Group) -> torch.Tensor:
    """Return a view of a group's bytes where they are now."""
    import torch

    leaf = group.leaves[0]
    start = leaf.tensor.storage_offset() * leaf.tensor.element_size() - leaf.offset
    view = torch.empty(0, dtype=torch.uint8)
    return view.set_(leaf.tensor.untyped_storage(), start, (group.bytes,), (1,))


def bind(layout: Layout, memory: torch.Tensor) -> None:
    """Point every tensor of the model at its bytes in ``memory``."""
    for group, offset in layout.groups:
        _bind(group, memory, offset)


def unbind(layout: Layout, place: torch.device) -> None:
    """Point every tensor at a placeholder: right shape, dtype and device, NaN, almost no memory.

    A tensor of integers becomes zeros.
    """
    fillers = _Fillers(place)
    for group, _ in layout.groups:
        _unbind(group, fillers)


def piece(layout: Layout, number: int) -> Extent:
    """Return where a piece lies, by its number."""
    return Extent(number * PIECE, min(layout.bytes, (number + 1) * PIECE))


def piece_numbers(extent: Extent) -> range:
    """Return the numbers of the pieces that an extent touches."""
    return range(extent.start // PIECE, -(-extent.end // PIECE))


def checksums(memory: torch.Tensor) -> list[int]:
    """Return a checksum of each piece that tells when bytes change or change places.

    The sum over 64-bit words of word x (2 x position + 1), modulo 2**64: the same on every device.
    """
    import torch

    if not memory.numel():
        return []
    words = memory.view(torch.int64)
    length = min(PIECE // 8, words.numel())
    weights = torch.arange(1, 2 * length, 2, device=memory.device)
    scratch = torch.empty_like(weights) if memory.is_cuda else None
    sums = []
    for start in range(0, words.numel(), length):
        part = words[start : start + length]
        factors = weights[: part.numel()]
        if scratch is None:
            sums.append(torch.dot(part, factors))
        else:  # a GPU has no dot product of integers
            sums.append(torch.mul(part, factors, out=scratch[: part.numel()]).sum())
    found: list[int] = torch.stack(sums).tolist()
    return found


def piece_names(layout: Layout, number: int) -> Sequence[str]:
    """Return the names of the tensors that lie in a piece, by its number."""
    start, end = number * PIECE, (number + 1) * PIECE
    return [
        leaf.name
        for group, offset in layout.groups
        if offset < end and offset + group.bytes > start
        for leaf in group.leaves
    ]


def _bind(group: Group, memory: torch.Tensor, offset: int) -> None:
    import torch

    storage, base = memory.untyped_storage(), memory.storage_offset() + offset
    for leaf in group.leaves:
        dtype = leaf.tensor.dtype
        view = torch.empty(0, dtype=dtype, device=memory.device)
        first = (base + leaf.offset) // dtype.itemsize
        leaf.tensor.data = view.set_(storage, first, leaf.shape, leaf.stride)


def _unbind(group: Group, fillers: _Fillers) -> None:
    for leaf in group.leaves:
        leaf.tensor.data = fillers[leaf.tensor.dtype].expand(leaf.shape)


class _Fillers(dict["torch.dtype", "torch.Tensor"]):
    """One value of each dtype on a device: NaN where the dtype has it."""

    def __init__(self, place: torch.device) -> None:
        self._place = place

    def __missing__(self, dtype: torch.dtype) -> torch.Tensor:
        self[dtype] = _filler(dtype, self._place)
        return self[dtype]


def _filler(dtype: torch.dtype, place: torch.device) -> torch.Tensor:
    import torch

    if dtype.is_floating_point or dtype.is_complex:
        with suppress(RuntimeError, NotImplementedError):
            return torch.full((), float("nan")).to(dtype).to(place)
    # Packed formats know neither NaN nor conversion: their zero bits must do, under the guard.
    return torch.zeros(dtype.itemsize, dtype=torch.uint8, device=place).view(dtype)[0]
