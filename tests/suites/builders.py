"""Small real images and suites for the tests of this room."""

from __future__ import annotations

import base64
import io
import json
import random
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from editbench.records import Pair
from editbench.suites.look import Suite

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def shared(name: str) -> Path:
    """Return a path among the real inputs, or skip the test."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"there is no {path}")
    return path


def pairs(suite: Suite) -> list[Pair]:
    """Return all pairs of a small suite."""
    return [suite[index] for index in range(len(suite))]


def picture(
    width: int = 8, height: int = 6, *, color: str = "red", kind: str = "PNG", **save: Any
) -> bytes:
    """Return an encoded image of one color."""
    return encode(Image.new("RGB", (width, height), color), kind, **save)


def encode(image: Image.Image, kind: str = "PNG", **save: Any) -> bytes:
    """Return an image as a file."""
    file = io.BytesIO()
    image.save(file, kind, **save)
    return file.getvalue()


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """Return a PNG of a few bytes whose header promises far too many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in (
            (b"IHDR", header),
            (b"IDAT", zlib.compress(bytes(1000))),
            (b"IEND", b""),
        )
    )


def five_item(number: int = 0, **changes: Any) -> dict[str, Any]:
    """Return a sound item of the five-category JSON; ``None`` removes a field."""
    item: dict[str, Any] = {
        "subset": "物理",
        "original_description": "红色",
        "edit_instruction": "改成蓝色",
        "original_description_en": "a red picture",
        "edit_instruction_en": "make it blue",
        "src_img_b64": base64.b64encode(picture(8 + number)).decode(),
        "difficulty": "easy",
        "original_image_path": f"made/{number:05}_x.png",
    }
    item |= changes
    return {name: value for name, value in item.items() if value is not None}


def row(number: int = 0, **changes: Any) -> dict[str, Any]:
    """Return a sound row of a table; ``None`` removes a field."""
    values: dict[str, Any] = {
        "id": f"p{number}",
        "category": "color",
        "instruction": "make it blue",
        "source": "red.png",
    } | changes
    return {name: value for name, value in values.items() if value is not None}


def write_rows(path: Path, rows: Sequence[Mapping[str, Any] | str]) -> Path:
    """Write JSON lines, some perhaps verbatim, and the image that they name."""
    lines = [line if isinstance(line, str) else json.dumps(line) for line in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (path.parent / "red.png").write_bytes(picture())
    return path


def noise(width: int, height: int) -> Image.Image:
    """Return a picture that compresses badly, always the same."""
    return Image.frombytes("RGB", (width, height), random.Random(7).randbytes(width * height * 3))
