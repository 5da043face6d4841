"""Where each model lies in the device's one weight region, and what a change moves. Pure.

Two models share the region from its two ends: the first lies at the bottom, the second at the top.
Only where they overlap does a change of model copy anything, and addresses never change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from editbench.errors import DoesNotFit
from editbench.units import format_bytes

ALIGNMENT = 512  #: bytes; every weight and every extent starts at a multiple of it


class Extent(NamedTuple):
    """A half-open range of bytes."""

    start: int
    end: int

    @property
    def bytes(self) -> int:
        return self.end - self.start


Extents = tuple[Extent, ...]  #: disjoint, ascending, none of them empty


@dataclass(frozen=True, slots=True)
class Placement:
    """Where each model lies in a region of ``capacity`` bytes."""

    capacity: int
    extents: Mapping[str, Extent]

    def overlap(self, one: str, other: str) -> int:
        """Return the bytes that two models share, which is what changing between them moves."""
        return total(intersect((self.extents[one],), (self.extents[other],)))


class Claim(NamedTuple):
    """What making a model whole takes."""

    missing: Extents  #: to be copied
    lost: Mapping[str, Extents]  #: bytes of other models that are in the way, by model


def aligned(count: int) -> int:
    """Return ``count`` bytes rounded up to the alignment."""
    return -(-count // ALIGNMENT) * ALIGNMENT


def overlay(sizes: Mapping[str, int], *, capacity: int) -> Placement:
    """Place models of these sizes, in bytes, into at most ``capacity`` bytes.

    If all fit they lie side by side and nothing moves after the first load. Otherwise they are
    laid from alternating ends of the whole capacity. Raises ``DoesNotFit`` if one of them is
    larger than that.
    """
    room = max(capacity, 0) // ALIGNMENT * ALIGNMENT
    wanted = {name: aligned(size) for name, size in sizes.items()}
    for name, size in wanted.items():
        if size > room:
            raise DoesNotFit(
                f"{name} needs {format_bytes(size)} on the device, which has "
                f"{format_bytes(room)} for weights",
                hint="raise memory.device_budget, or choose a smaller or quantized model",
            )
    together = sum(wanted.values())
    extents: dict[str, Extent] = {}
    if together <= room:
        start = 0
        for name, size in wanted.items():
            extents[name] = Extent(start, start + size)
            start += size
        return Placement(together, extents)
    for index, (name, size) in enumerate(wanted.items()):
        extents[name] = Extent(room - size, room) if index % 2 else Extent(0, size)
    return Placement(room, extents)


def claim(placement: Placement, held: Mapping[str, Extents], *, name: str) -> Claim:
    """Return what ``name`` lacks of its extent and who loses bytes, given what the region holds."""
    missing = subtract((placement.extents[name],), held.get(name, ()))
    lost = {
        other: common
        for other, extents in held.items()
        if other != name and (common := intersect(extents, missing))
    }
    return Claim(missing, lost)


def intersect(left: Extents, right: Extents) -> Extents:
    """Return the bytes that are in both."""
    common = (
        Extent(max(a.start, b.start), min(a.end, b.end))
        for a in left
        for b in right
        if a.start < b.end and b.start < a.end
    )
    return tuple(sorted(common))


def subtract(extents: Extents, cut: Extents) -> Extents:
    """Return the bytes of ``extents`` that are not in ``cut``."""
    left = extents
    for hole in cut:
        pieces = (
            piece
            for extent in left
            for piece in (
                Extent(extent.start, min(extent.end, hole.start)),
                Extent(max(extent.start, hole.end), extent.end),
            )
        )
        left = tuple(piece for piece in pieces if piece.bytes > 0)
    return left


def total(extents: Iterable[Extent]) -> int:
    """Return how many bytes the extents hold together."""
    return sum(extent.bytes for extent in extents)
