"""Images to bytes and back, losing nothing: every pixel returns as it was, hidden ones too."""

from __future__ import annotations

import importlib.util
import io
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from editbench.errors import StoreError

if TYPE_CHECKING:
    from PIL.Image import Image

Codec = Literal["webp", "jxl", "png", "raw"]

_FORMATS: Mapping[Codec, str] = MappingProxyType({"webp": "WEBP", "jxl": "JXL", "png": "PNG"})
_MODES: Mapping[Codec, frozenset[str]] = MappingProxyType(
    {
        "webp": frozenset({"RGB", "RGBA"}),
        "jxl": frozenset({"RGB", "RGBA"}),
        "png": frozenset({"1", "L", "LA", "I;16", "RGB", "RGBA"}),
    }
)
_WEBP_SIDE = 16383
_MOST_PIXELS = 64 * 2**20  # beyond about 85 million Pillow refuses to open a file as a bomb
_PALETTE = frozenset({"P", "PA"})
_SLOW = 0.1  #: the share of a step that encoding may take


class Encoded(NamedTuple):
    """An image as bytes, with all that is needed to decode it."""

    codec: Codec
    mode: str
    width: int
    height: int
    payload: bytes


class Trial(NamedTuple):
    """What one codec made of one image."""

    codec: Codec
    seconds: float  #: to encode it
    bytes: int


def encode(image: Image, codec: Codec = "webp") -> Encoded:
    """Encode an image. What ``codec`` cannot hold goes to PNG, and what PNG cannot, stays raw."""
    order: tuple[Codec, ...] = (codec, "png", "raw")
    used = next(name for name in order if _takes(name, image.mode, image.width, image.height))
    payload = _raw(image) if used == "raw" else _saved(image, used)
    return Encoded(used, image.mode, image.width, image.height, payload)


def decode(encoded: Encoded) -> Image:
    """Return the image. Raises ``StoreError`` without the codec, ``ValueError`` if it does not fit.

    The image carries no metadata.
    """
    from PIL import Image as pil

    mode, size = encoded.mode, (encoded.width, encoded.height)
    if encoded.codec == "raw":
        return _from_raw(encoded)
    if encoded.codec == "jxl":
        _load_jxl()
    with pil.open(io.BytesIO(encoded.payload), formats=[_FORMATS[encoded.codec]]) as image:
        image.load()
        found = image.copy()
    if (found.mode, mode) == ("RGB", "RGBA"):
        found = found.convert(mode)  # WebP leaves out an alpha that is opaque throughout
    if (found.mode, found.size) != (mode, size):
        raise ValueError(f"expected {mode} {size}, got {found.mode} {found.size}")
    found.info.clear()
    return found


def plain_pixels(encoded: Encoded) -> bytes | None:
    """Return what ``tobytes`` returns of the image, if that is how it is encoded."""
    if encoded.codec != "raw" or encoded.mode in _PALETTE:
        return None
    return encoded.payload


def available() -> tuple[Codec, ...]:
    """Return the codecs that this installation has."""
    absent = {"jxl"} if importlib.util.find_spec("pillow_jxl") is None else set()
    return tuple(codec for codec in get_args(Codec) if codec not in absent)


def measure(
    image: Image,
    codecs: Sequence[Codec],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Trial]:
    """Encode an image with each codec that can hold it. What ``choose`` chooses from.

    The better of two times counts, since other work may hold one of them up.
    """
    trials = []
    for codec in codecs:
        if _takes(codec, image.mode, image.width, image.height):
            taken = []
            for _ in range(2):
                start = clock()
                encoded = encode(image, codec)
                taken.append(clock() - start)
            trials.append(Trial(codec, min(taken), len(encoded.payload)))
    return trials


def choose(trials: Sequence[Trial], *, step_seconds: float, room: int | None = None) -> Codec:
    """Choose the smallest codec that takes less than a tenth of the time that an edit takes.

    ``room`` is how many bytes an image may have; a codec that keeps to it comes before a fast one.
    Where none is fast enough the fastest wins. Pure. Raises ``ValueError`` without trials.
    """
    if not trials:
        raise ValueError("there is no codec to choose from")
    smallest = min(trials, key=lambda trial: (trial.bytes, trial.seconds))
    fitting = [trial for trial in trials if room is None or trial.bytes <= room] or [smallest]
    quick = [trial for trial in fitting if trial.seconds < _SLOW * step_seconds]
    if quick:
        return min(quick, key=lambda trial: (trial.bytes, trial.seconds)).codec
    return min(fitting, key=lambda trial: (trial.seconds, trial.bytes)).codec


def _takes(codec: Codec, mode: str, width: int, height: int) -> bool:
    if codec == "raw":
        return True
    if mode not in _MODES[codec] or not 0 < width * height <= _MOST_PIXELS:
        return False
    return codec != "webp" or max(width, height) <= _WEBP_SIDE


def _saved(image: Image, codec: Codec) -> bytes:
    out = io.BytesIO()
    if codec == "webp":
        # ``exact``, or the colors under full transparency are lost.
        image.save(
            out, "WEBP", lossless=True, method=0, quality=0, exact=True,
            icc_profile=b"", exif=b"", xmp=b"",
        )  # fmt: skip
    elif codec == "jxl":
        _load_jxl()
        # ``lossless_jpeg``, or an image opened from a JPEG is saved as its file says.
        image.save(
            out, "JXL", lossless=True, effort=1, num_threads=0, lossless_jpeg=False,
            exif=b"", xmp=b"",
        )  # fmt: skip
    else:
        from zlib import Z_RLE

        image.save(out, "PNG", compress_level=1, compress_type=Z_RLE, icc_profile=b"")
    return out.getvalue()


def _load_jxl() -> None:
    try:
        from pillow_jxl import JpegXLImagePlugin  # which also tells Pillow of the format
    except ImportError as exc:
        raise StoreError(
            "this edit is stored as JPEG XL, which this installation cannot read",
            hint="pip install pillow-jxl-plugin",
        ) from exc
    JpegXLImagePlugin.DECODE_THREADS = 0  # several images are decoded at once as it is


def _raw(image: Image) -> bytes:
    if image.mode not in _PALETTE:
        return image.tobytes()
    plain = image.copy()
    plain.apply_transparency()
    return plain.tobytes() + bytes(plain.getpalette("RGBA") or b"")


def _from_raw(encoded: Encoded) -> Image:
    from PIL import Image as pil

    size = (encoded.width, encoded.height)
    if encoded.mode not in _PALETTE:
        return pil.frombytes(encoded.mode, size, encoded.payload)
    length = len(encoded.mode) * encoded.width * encoded.height
    image = pil.frombytes(encoded.mode, size, encoded.payload[:length])
    image.putpalette(encoded.payload[length:], "RGBA")
    return image
