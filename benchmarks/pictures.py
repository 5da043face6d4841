"""Suites of made-up pictures that compress about as photographs do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DIFFERENT = 8  #: pictures of a suite; the instruction makes every pair another one


def picture(seed: int, *, width: int, height: int) -> Any:
    """Return a smooth random field with shapes and sensor noise, as RGB."""
    import numpy as np
    from PIL import Image, ImageDraw

    chance = np.random.default_rng(seed)
    coarse = chance.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(24):
        x, y = chance.random(2) * (width, height)
        radius = chance.random() * width / 10 + 1
        color = tuple(int(part) for part in chance.integers(0, 256, 3))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
    noise = chance.normal(0, 1.5, (height, width, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def write_suite(folder: Path, *, pairs: int, width: int, height: int) -> Path:
    """Write a suite with JPEG sources and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(min(DIFFERENT, pairs)):
        image = picture(seed, width=width, height=height)
        image.save(folder / f"{seed}.jpg", quality=92, subsampling=0)
    path = folder / "pairs.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(pairs):
            row = {
                "id": f"pair-{number:06}",
                "category": "add",
                "instruction": f"Put hat number {number} on the tallest shape in the picture.",
                "source": f"{number % DIFFERENT}.jpg",
            }
            file.write(json.dumps(row) + "\n")
    return path
