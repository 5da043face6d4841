"""A pair to look at while the run goes on: its first source and its edit, small."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from editbench.engine.ledger import Ledger
from editbench.engine.spill import Spill
from editbench.engine.stages import LoadImages

if TYPE_CHECKING:
    from PIL.Image import Image


class Pictures(NamedTuple):
    """What a pair looks like before and after."""

    pair: str
    source: Image
    edit: Image


def small(
    index: int, *, longest: int, ledger: Ledger, spill: Spill, load_images: LoadImages
) -> Pictures | None:
    """Return a pair's pictures with sides of at most ``longest``; None if its edit is not kept."""
    found = spill.get(ledger.key(index))
    if found is None:
        return None
    pair = ledger.pair(index)
    images = [load_images(pair)[0], found.image]
    copies = [image.copy() for image in images]  # others hold the same ones
    for image in copies:
        image.thumbnail((longest, longest))
    return Pictures(pair.id, *copies)
