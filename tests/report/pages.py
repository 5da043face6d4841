"""Runs for pages, made by the engine: suites of small pictures, and what they became."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from editbench import api
from editbench.config import layered
from editbench.report.result import RunResult
from tests.report.models import HARM
from tests.runs import places

QUICK: dict[str, Any] = {
    "editor": {"use": "tests.report.models:Editor"},
    "judge": {"use": "tests.report.models:Judge"},
    "run": {"max_failures": 99, "retries": 0},
}
INSTRUCTIONS = (
    "Add a red hat.",
    "让天空下雪，并保持人物不变。",
    "أضف قبعة حمراء إلى القطة.",
    "Turn the day into a night with a bright moon over the lake.",
)
SPECIAL = ("no-edit", "refused", "cut", "above", "harm-reason", "harm-raw")


def suite(folder: Path, count: int, *, special: bool = True, size: int = 96) -> dict[str, Any]:
    """Write a suite of so many plain pairs and the special ones; return the settings for it."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    source = random.Random(0)
    for number in range(count):
        name = f"pair-{number:04}"
        width, height = source.choice(((size, size), (size * 3 // 2, size), (size, size * 5 // 4)))
        noise = [Image.effect_noise((width, height), 60 + number % 40) for _ in range(3)]
        Image.merge("RGB", noise).save(folder / f"{name}.webp", quality=90)
        category = ("physical", "环境", "social", "causal", "指代")[number % 5]
        rows.append(_row(name, category, INSTRUCTIONS[number % 4]))
    if special:
        Image.linear_gradient("L").resize((120, 90)).convert("RGB").save(folder / "grey.webp")
        rows += [_row(name, "social", f"Add a hat: {name}.", "grey") for name in SPECIAL]
        rows += [_row(f"harm-{HARM}", f"harm {HARM}", HARM, "grey")]
        two = _row("two-sources", "social", "Put the one into the other.")
        rows += [two | {"source": ["grey.webp", "pair-0000.webp"]}]
    path = folder / "pairs.jsonl"
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")
    return {"suite": str(path)}


def _row(name: str, category: str, instruction: str, source: str = "") -> dict[str, Any]:
    row = {"id": name, "category": category, "instruction": instruction}
    return row | {"source": f"{source or name}.webp", "why": "a further field"}


def run(folder: Path, name: str, *layers: dict[str, Any]) -> RunResult:
    """Carry out a run of this name."""
    settings = layered(QUICK, places(folder), {"run": {"name": name}}, *layers)
    return api.run(api.load_config(overrides=settings))


def runs(folder: Path, count: int, names: Sequence[str] = ("base", "new")) -> list[RunResult]:
    """Carry out runs that differ in the version of the editor."""
    pairs = suite(folder / "suite", count)
    return [
        run(folder, name, pairs, {"editor": {"version": version}})
        for version, name in enumerate(names, 1)
    ]
