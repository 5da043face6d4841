from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from editbench.errors import SuiteError
from editbench.suites.images import decode, size
from tests.suites.builders import bomb, encode, noise, picture, shared

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def two_colors() -> Image.Image:
    """Four by two, the left half red, the right blue."""
    image = Image.new("RGB", (4, 2), RED)
    image.paste(BLUE, (2, 0, 4, 2))
    return image


def test_an_ordinary_image_keeps_its_pixels_and_loses_its_metadata() -> None:
    image = decode(encode(two_colors(), dpi=(72, 72)))
    assert (image.mode, image.size, image.info) == ("RGB", (4, 2), {})
    assert image.tobytes() == two_colors().tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_image_upright_and_its_size_with_it(kind: str, orientation: int) -> None:
    shown = noise(12, 8).resize((48, 32))
    undo = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    turns: dict[int, Image.Transpose] = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    stored = shown.transpose(turns[undo]) if undo in turns else shown
    exif = Image.Exif()
    exif[0x0112] = orientation
    exact: dict[str, dict[str, Any]] = {
        "WEBP": {"lossless": True},
        "JPEG": {"quality": 100, "subsampling": 0},
        "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    }
    data = encode(stored, kind, exif=exif, **exact.get(kind, {}))
    assert size(data) == (48, 32)
    image = decode(data)
    assert image.size == (48, 32)
    difference = sum(
        abs(a - b) for a, b in zip(image.tobytes(), shown.tobytes(), strict=True)
    ) / len(shown.tobytes())
    assert difference < 4


def test_exif_after_the_pixels_of_a_png_counts() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    body = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body
    chunk += struct.pack(">I", zlib.crc32(b"eXIf" + body))
    plain = encode(two_colors())
    end = plain.index(b"IEND") - 4
    data = plain[:end] + chunk + plain[end:]
    assert size(data) == decode(data).size == (2, 4)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_becomes_white(mode: str) -> None:
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 255))
    decoded = decode(encode(image.convert(mode)))
    assert [decoded.getpixel((x, 0)) for x in range(2)] == [WHITE, (0, 0, 0)]


def test_half_transparent_red_becomes_pink() -> None:
    decoded = decode(encode(Image.new("RGBA", (1, 1), (255, 0, 0, 128))))
    red, green, blue = decoded.tobytes()
    assert red == 255 and abs(green - 127) <= 1 and green == blue


@pytest.mark.parametrize("transparency", [0, bytes([0, 255])])
def test_a_transparent_palette_entry_becomes_white(transparency: int | bytes) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 0, 0, 255])
    image.putpixel((1, 0), 1)
    decoded = decode(encode(image, transparency=transparency))
    assert [decoded.getpixel((x, 0)) for x in range(2)] == [WHITE, BLUE]


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    values = [0, 128, 129, 257, 32768, 65535]
    image = Image.frombytes("I;16", (6, 1), struct.pack("<6H", *values))
    for kind in ("PNG", "TIFF"):
        decoded = decode(encode(image, kind))
        assert list(decoded.tobytes()[::3]) == [0, 0, 1, 1, 128, 255]


def test_a_sixteen_bit_portable_greymap_is_scaled() -> None:
    data = b"P5 3 1 65535\n" + struct.pack(">3H", 0, 32768, 65535)
    assert list(decode(data).tobytes()[::3]) == [0, 128, 255]


def test_the_transparent_value_of_sixteen_bit_grey_becomes_white() -> None:
    image = Image.frombytes("I;16", (2, 1), struct.pack("<2H", 1000, 0))
    plain = encode(image)
    body = struct.pack(">H", 1000)
    chunk = struct.pack(">I", 2) + b"tRNS" + body + struct.pack(">I", zlib.crc32(b"tRNS" + body))
    place = plain.index(b"IDAT") - 4
    decoded = decode(plain[:place] + chunk + plain[place:])
    assert list(decoded.tobytes()[::3]) == [255, 0]


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "RGB"])
def test_every_usual_mode_becomes_rgb(mode: str) -> None:
    kind = "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"
    decoded = decode(encode(Image.new("RGB", (9, 5), "white").convert(mode), kind))
    assert decoded.mode == "RGB" and decoded.size == (9, 5)
    assert min(decoded.tobytes()) >= 250


def test_a_cmyk_jpeg_is_not_inverted() -> None:
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red, green, blue = decode(encode(ink, "JPEG", quality=100)).tobytes()[:3]
    assert red > 240 and green < 15 and blue < 15


def test_an_animation_shows_its_first_frame() -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    for kind, save in (("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **save)
        assert decode(data).getpixel((0, 0)) == RED


def test_float_and_lab_images_are_refused_with_their_mode() -> None:
    with pytest.raises(SuiteError, match="mode F "):
        decode(encode(Image.new("F", (2, 2)), "TIFF"))
    with pytest.raises(SuiteError, match="mode LAB "):
        decode(encode(Image.new("LAB", (2, 2)), "TIFF"))


def test_grey_beyond_sixteen_bits_is_refused() -> None:
    with pytest.raises(SuiteError, match="16 bits"):
        decode(encode(Image.new("I", (2, 2), 70_000), "TIFF"))


@pytest.mark.parametrize("read", [decode, size])
def test_a_bomb_is_refused_by_its_header(read: Callable[..., object]) -> None:
    data = bomb()
    assert len(data) < 1000
    with pytest.raises(SuiteError, match=r"60000x60000 .* 100,000,000"):
        read(data)


def test_the_limit_is_the_callers_not_that_of_pillow() -> None:
    data = picture(40, 30)
    assert decode(data, max_pixels=1200).size == (40, 30)
    with pytest.raises(SuiteError, match=r"40x30 .* 1,199"):
        decode(data, max_pixels=1199)
    assert size(bomb(30_000, 3_100)) == (30_000, 3_100)  # more than Pillow's own limit


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_truncated_image_is_refused(kind: str) -> None:
    data = encode(noise(64, 64), kind)
    with pytest.raises(SuiteError):
        decode(data[: len(data) * 2 // 3])


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"P", b"hello", b"\x89PNG", b"<svg></svg>", b"%!PS-Adobe"]
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    for read in (decode, size):
        with pytest.raises(SuiteError, match=r"image"):
            read(data)


def test_damaged_exif_neither_warns_nor_turns() -> None:
    data = encode(two_colors(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert size(data) == decode(data).size == (4, 2)
    assert caught == []


def test_reading_leaves_the_settings_of_pillow_alone() -> None:
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    decode(picture())
    with pytest.raises(SuiteError):
        decode(bomb())
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == before


@settings(max_examples=400, deadline=None)
@given(kind=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"]), data=st.data())
def test_damage_is_an_error_of_ours_or_none(kind: str, data: st.DataObject) -> None:
    whole = bytearray(encode(noise(24, 24), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        told = size(damaged, max_pixels=1_000_000)
        assert decode(damaged, max_pixels=1_000_000).size == told
    except SuiteError:
        pass


def test_the_real_images_decode_to_their_told_size() -> None:
    for path in sorted(shared("edits/sources").iterdir()):
        data = path.read_bytes()
        image = decode(data)
        assert image.mode == "RGB" and image.size == size(data)
        assert image.tobytes() == Image.open(io.BytesIO(data)).convert("RGB").tobytes()
