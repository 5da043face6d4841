"""Requests and questions over pictures that are cheap, distinct and the same every time."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from PIL import Image

from editbench.engine.protocols import EditRequest, Question

CONTRACT: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "maxLength": 40},
        "quality": {"type": "integer", "minimum": 0, "maximum": 10},
        "following": {"type": "integer", "minimum": 0, "maximum": 10},
    },
    "required": ["reason", "quality", "following"],
    "additionalProperties": False,
}


def noise(seed: int, width: int = 96, height: int = 64) -> Image.Image:
    return Image.frombytes("RGB", (width, height), Random(seed).randbytes(3 * width * height))


def request(
    seed: int = 0, *, images: int = 1, size: tuple[int, int] = (96, 64), text: str = "make it red"
) -> EditRequest:
    sources = tuple(noise(100 * seed + number, *size) for number in range(images))
    return EditRequest(f"pair-{seed}", sources, text, seed)


def question(
    seed: int = 0,
    *,
    images: int = 2,
    size: tuple[int, int] = (96, 64),
    contract: Mapping[str, Any] = CONTRACT,
) -> Question:
    shown = tuple(noise(100 * seed + number, *size) for number in range(images))
    return Question(f"pair-{seed}", shown, "You judge edits.", f"Rate edit {seed}.", contract)


def go_on() -> bool:
    return False
