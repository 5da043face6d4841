"""How large an edit is to be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from PIL.Image import Image

Size = Literal["source", "auto"] | tuple[int, int]  #: as set; (width, height) in pixels


class Grid(NamedTuple):
    """Which sizes a pipeline can make."""

    multiple: int  #: of a side, in pixels
    largest: int | None = None  #: side, in pixels


def is_size(value: object) -> bool:
    """Return whether a setting is ``source``, ``auto`` or two positive whole numbers."""
    if isinstance(value, list | tuple):
        return len(value) == 2 and all(type(side) is int and side > 0 for side in value)
    return value in ("source", "auto")


def output_size(size: Size, source: tuple[int, int], grid: Grid) -> tuple[int, int] | None:
    """Return width and height to ask for, or None to leave the choice to the pipeline.

    A size comes out on the pipeline's grid, as near to the asked one as it allows.
    """
    if size == "auto":
        return None
    width, height = source if size == "source" else size
    shrink = min(1.0, grid.largest / max(width, height)) if grid.largest else 1.0
    return _snap(width * shrink, grid.multiple), _snap(height * shrink, grid.multiple)


def _snap(side: float, multiple: int) -> int:
    return max(multiple, round(side / multiple) * multiple)


def within(image: Image, pixels: int | None) -> Image:
    """Return the image, scaled down to at most so many pixels if it has more."""
    from PIL import Image as Images

    if pixels is None or image.width * image.height <= pixels:
        return image
    scale = math.sqrt(pixels / (image.width * image.height))
    size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
    return image.resize(size, Images.Resampling.LANCZOS)
