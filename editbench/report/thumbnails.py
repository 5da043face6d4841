"""Pictures small enough to travel inside a page: WebP, each below a limit in bytes."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST = 640  #: pixels of the longer side, at most
SHORTEST = 48  #: below that a picture shows nothing, so it is left out
_QUALITY = 78
_DENSE = 0.25  #: bytes a pixel that a first guess reckons with; photographs need about half


def thumbnail(image: Image, *, limit: int, longest: int = LONGEST) -> bytes | None:
    """Return a picture as WebP of at most ``limit`` bytes, as large as that allows.

    None if it would have to be smaller than ``SHORTEST``.
    """
    side = min(longest, max(image.size), math.sqrt(limit / _DENSE) * 1.6)
    small = image.convert("RGB")
    while side >= min(SHORTEST, max(image.size)):
        small.thumbnail((side, side), reducing_gap=2.0)
        out = io.BytesIO()
        small.save(out, "WEBP", quality=_QUALITY, method=2)
        if len(out.getvalue()) <= limit:
            return out.getvalue()
        side = max(small.size) * min(0.9, math.sqrt(limit / len(out.getvalue())))
    return None
