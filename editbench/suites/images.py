"""Encoded bytes in, upright 8-bit RGB out. Color profiles are not applied."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING

from editbench.errors import SuiteError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

MAX_PIXELS = 100_000_000

# Still images only: other readers of Pillow run programs, need fonts or guess at raw data.
_FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM")
_ORIENTATION = 0x0112  #: the EXIF tag
_PILLOW = re.compile(r"PIL\.")


def size(data: bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return width and height of the upright image, from its header. Raises ``SuiteError``."""
    image = _open(data, max_pixels)
    if _orientation(image, data) >= 5:  # 5 to 8 swap the axes
        return image.height, image.width
    return image.width, image.height


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Return the image as upright 8-bit RGB, without metadata; transparency becomes white.

    Of an animation it is the first frame. Raises ``SuiteError`` for what is no image, is damaged
    or cut short, or has more than ``max_pixels`` (before any pixel is decoded).
    """
    image = _open(data, max_pixels)
    try:
        image.load()
        upright = _turn(_rgb(image), _orientation(image, data))
    except (MemoryError, SuiteError):
        raise
    except Exception as exc:  # Pillow's readers raise whatever damaged bytes make them trip over
        raise SuiteError(f"the {image.format} image is damaged or cut short: {_said(exc)}") from exc
    # A consumer that heeds EXIF would turn the image a second time.
    upright.info.clear()
    return upright


def _open(data: bytes, max_pixels: int) -> ImageFile:
    """Read the header only.

    ``Image.open`` would do, if it did not warn about or refuse large images by a global setting,
    without their size.
    """
    from PIL import Image

    _ignore_warnings_of_pillow()
    Image.init()
    start = data[:16].ljust(16, b"\0")
    for name in _FORMATS:
        if name not in Image.OPEN:  # this Pillow was built without it
            continue
        factory, accepts = Image.OPEN[name]
        if accepts and accepts(start) is not True:
            continue
        try:
            image = factory(io.BytesIO(data), "")
        except MemoryError:
            raise
        except Exception as exc:  # as above
            raise SuiteError(f"not a readable {name} image: {_said(exc)}") from exc
        if image.width * image.height > max_pixels:
            raise SuiteError(
                f"the image has {image.width}x{image.height} pixels, more than the limit of "
                f"{max_pixels:,}"
            )
        return image
    raise SuiteError("not an image" if data else "the image is empty")


def _ignore_warnings_of_pillow() -> None:
    """Put our filter first. ``catch_warnings`` would be tidier, but is not safe in threads."""
    if not warnings.filters or warnings.filters[0][3] != _PILLOW:
        warnings.filterwarnings("ignore", module=_PILLOW.pattern)


def _orientation(image: ImageFile, data: bytes) -> int:
    if image.format == "TIFF":  # its reader turns the pixels itself
        return 1
    if image.format == "PNG" and "exif" not in image.info and b"eXIf" not in data:
        return 1  # asking a PNG for EXIF that is not there decodes it
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # damaged EXIF says nothing about the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _turn(image: Image, orientation: int) -> Image:
    if orientation == 1:
        return image
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation])


def _rgb(image: Image) -> Image:
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "I;16N"):
        return _grey16(image)
    if image.mode in ("F", "LAB"):
        raise SuiteError(f"images of mode {image.mode} have no agreed way to become RGB")
    if image.has_transparency_data:
        return _over_white(image.convert("RGBA"))
    return image.convert("RGB")


def _over_white(image: Image) -> Image:
    from PIL import Image as Pillow

    white = Pillow.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white.convert("RGB")


def _grey16(image: Image) -> Image:
    """Scale 0..65535 to 0..255; Pillow's own conversion clips instead."""
    import numpy as np
    from PIL import Image as Pillow

    values = np.asarray(image).astype(np.int64)
    if values.min(initial=0) < 0 or values.max(initial=0) > 0xFFFF:
        raise SuiteError("grey values beyond 16 bits have no agreed way to become RGB")
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        values[values == transparent] = 0xFFFF
    return Pillow.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")


def _said(exc: Exception) -> str:
    return str(exc).partition("\n")[0] or type(exc).__name__
