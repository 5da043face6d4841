"""Where each model lies in the device's one weight region, and what a change moves. Pure.

Two models share the region from its two ends: the first lies at the bottom, the second at the top.
Only where they overlap does a change of model copy anything, and addresses never change.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping
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
Together = Collection[str]  #: models that have to be on the device at once


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


def overlay(
    sizes: Mapping[str, int], *, capacity: int, together: Collection[Together] = ()
) -> Placement:
    """Place models of these sizes, in bytes, into at most ``capacity`` bytes.

    If all fit they lie side by side and nothing moves after the first load. Otherwise they are
    laid from alternating ends of the whole capacity; those that are needed ``together`` side by
    side from one end, first those that several such sets share. Raises ``DoesNotFit`` if a model,
    or a set of them, is larger than the capacity.
    """
    room = max(capacity, 0) // ALIGNMENT * ALIGNMENT
    wanted = {name: aligned(size) for name, size in sizes.items()}
    for names in [*({name} for name in wanted), *together]:
        _must_fit({name: wanted[name] for name in names}, room)
    if (whole := sum(wanted.values())) <= room:
        ends = itertools.accumulate(wanted.values())
        pairs = zip(wanted.items(), ends, strict=True)
        return Placement(whole, {name: Extent(end - size, end) for (name, size), end in pairs})
    family = {name: {name} for name in wanted}  # needed together, directly or through others
    for names in together:
        joined = set[str]().union(*(family[name] for name in names))
        family.update(dict.fromkeys(joined, joined))
    first = {name: next(other for other in wanted if other in family[name]) for name in wanted}
    turns = list(dict.fromkeys(first.values()))
    stacked = _stacked(wanted, together)
    for name, extent in stacked.items():
        if extent.end > room:
            raise _too_small(name, extent.end, room)
    extents = {
        name: extent
        if turns.index(first[name]) % 2 == 0
        else Extent(room - extent.end, room - extent.start)
        for name, extent in ((name, stacked[name]) for name in wanted)
    }
    return Placement(room, extents)


def largest(sizes: Mapping[str, int], together: Collection[Together] = ()) -> int:
    """Return the least capacity, in bytes, that these models can take turns in."""
    alone = [{name} for name in sizes]
    return max(
        (sum(aligned(sizes[name]) for name in each) for each in (*alone, *together)), default=0
    )


def _stacked(sizes: Mapping[str, int], together: Collection[Together]) -> dict[str, Extent]:
    """Put each model above those that it is needed together with."""
    beside = {
        name: set[str]().union(*(each for each in together if name in each)) for name in sizes
    }
    placed: dict[str, Extent] = {}
    for name in sorted(sizes, key=lambda name: -len(beside[name])):
        start = max((placed[other].end for other in beside[name] & placed.keys()), default=0)
        placed[name] = Extent(start, start + sizes[name])
    return placed


def _must_fit(sizes: Mapping[str, int], room: int) -> None:
    if (size := sum(sizes.values())) > room:
        raise _too_small(" with ".join(sizes), size, room)


def _too_small(name: str, size: int, room: int) -> DoesNotFit:
    return DoesNotFit(
        f"{name} needs {format_bytes(size)} on the device, which has "
        f"{format_bytes(room)} for weights",
        hint="raise memory.device_budget, or choose a smaller or quantized model",
    )


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
    left = tuple(extent for extent in extents if extent.bytes)
    for hole in (hole for hole in cut if hole.bytes):
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
