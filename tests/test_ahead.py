"""The judge's files are read while the last edits are made."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import BaseModel

from editbench import api
from editbench.backends import tiny
from editbench.config import layered
from editbench.engine import ahead
from editbench.engine.events import Event
from editbench.testing import ScriptedEditor
from tests.caches import evict, is_cached
from tests.runs import TINY, pairs, places
from tests.struck import Nothing

FOLDER = "FOLDER_OF_THE_JUDGE"


def judges_files() -> list[Path]:
    return list(Path(os.environ[FOLDER]).rglob("*.safetensors"))


def wait_at_the_last(pair: str) -> None:
    """Have the judge's files forgotten when editing begins, and wait for them as it ends."""
    if pair == "ant":
        for path in judges_files():
            evict(path)
    if pair == "cow":
        deadline = time.monotonic() + 20
        while not all(map(is_cached, judges_files())):
            assert time.monotonic() < deadline, "nobody reads the judge's files"
            time.sleep(0.01)


class Editor(ScriptedEditor):
    """Takes the device for itself."""

    Settings: ClassVar[type[BaseModel]] = Nothing

    def __init__(self, settings: Nothing) -> None:
        super().__init__(footprint=600_000, weights=True, max_batch=1, step=wait_at_the_last)


def test_the_judge_is_read_while_the_last_edits_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "_POLL", 0.01)
    # A copy: what another test's model has mapped cannot be forgotten.
    judge = shutil.copytree(tiny.checkpoint("tiny/qwen3-vl"), tmp_path / "judge")
    monkeypatch.setenv(FOLDER, str(judge))
    for path in judges_files():
        evict(path)  # or the test is skipped
    config = layered(
        places(tmp_path),
        pairs(tmp_path / "x", ["ant", "bee", "cow"]),
        {"editor": {"use": f"{__file__}:Editor"}, "judge": TINY["judge"] | {"model": str(judge)}},
        {"memory": {"device_budget": "700kB"}},
    )
    events: list[Event] = []
    api.run(api.load_config(overrides=config), on_event=events.append)
    kinds = [event.kind for event in events]
    assert (kinds.count("edit"), kinds.count("score"), kinds.count("failed")) == (3, 3, 0)
