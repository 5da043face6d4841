"""Runs for tests: quick models, a store and a folder of their own, and what they announced."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from editbench import api
from editbench.config import layered
from editbench.engine.events import Event
from editbench.report.result import RunResult

TINY: dict[str, Any] = {
    "suite": {"limit": 1},
    "editor": {"use": "diffusers", "model": "tiny/flux-kontext"},
    "judge": {"use": "transformers", "model": "tiny/qwen3-vl", "max_new_tokens": 200},
}


class Made(NamedTuple):
    """A run that ended, and its events."""

    result: RunResult
    events: list[Event]

    def count(self, kind: str) -> int:
        return sum(event.kind == kind for event in self.events)

    def items(self) -> dict[str, dict[str, Any]]:
        """The lines of ``items.jsonl`` by pair, clock readings left out."""
        return {item["id"]: without_clock(item) for item in self.result.items()}


def places(folder: Path) -> dict[str, Any]:
    return {"memory": {"folder": str(folder / "store")}, "run": {"out": str(folder / "runs")}}


def make(folder: Path, *layers: Mapping[str, Any]) -> Made:
    """Run with settings laid over the quick ones."""
    events: list[Event] = []
    config = api.load_config(overrides=layered(TINY, places(folder), *layers))
    return Made(api.run(config, on_event=events.append), events)


def without_clock(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != "seconds"}


def results(folder: Path) -> tuple[bytes, list[bytes]]:
    """The bytes of a run's results, clock readings left out."""
    lines = (folder / "items.jsonl").read_bytes().splitlines()
    plain = [json.dumps(without_clock(json.loads(line))).encode() for line in lines]
    return (folder / "summary.json").read_bytes(), plain


def pairs(folder: Path, names: list[str]) -> dict[str, Any]:
    """Write a suite of small pictures, one for each name, and return the settings that name it."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in names:
        shade = sum(name.encode()) % 256
        size = (64, 96) if shade % 2 else (96, 64)
        Image.new("RGB", size, (shade, 255 - shade, 40)).save(folder / f"{name}.png")
        text = f"Add a small hat to {name}."
        row = {"id": name, "category": "物理" if shade % 3 else "add", "instruction": text}
        rows.append(row | {"source": f"{name}.png"})
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return {"suite": {"path": str(path), "limit": None}}
