"""Runs whose weights host memory may not hold: the same results, from files that leave no trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from editbench import api
from editbench.config import layered
from editbench.engine.events import Notice, RunEnded
from editbench.errors import DoesNotFit
from tests.runs import TINY, make, places, results

EARLY: dict[str, Any] = {"suite": {"limit": 1, "category": ["physical", "causal"]}}
EARLY["run"] = {"early_scores": True}  # both models stay in host memory, for three swaps


def below(size: str, **more: Any) -> dict[str, Any]:
    return {"memory": {"weights": size, **more}}


def test_weights_on_disk_change_nothing_but_say_so(tmp_path: Path) -> None:
    above = make(tmp_path / "above", EARLY)
    made = make(tmp_path / "below", EARLY, below("0B"))
    assert results(made.result.folder) == results(above.result.folder)
    (warning,) = [
        event.message
        for event in made.events
        if isinstance(event, Notice) and "disk" in event.message
    ]
    assert "host memory cannot hold all weights" in warning
    assert list((tmp_path / "below/store/weights").iterdir()) == []
    assert not (tmp_path / "above/store/weights").exists()
    (ended,) = [event for event in made.events if isinstance(event, RunEnded)]
    assert ended.swaps == 3


def test_kept_weights_are_written_once_for_all_runs(tmp_path: Path) -> None:
    kept = below("0B", keep_weights=True)
    make(tmp_path, EARLY, kept)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "store/weights").iterdir()}
    assert len(files) == 2
    make(tmp_path, EARLY, kept, {"seed": 1})
    again = {path: path.stat().st_mtime_ns for path in (tmp_path / "store/weights").iterdir()}
    assert again == files


def test_the_plan_says_where_weights_are_and_what_that_costs(tmp_path: Path) -> None:
    config = api.load_config(overrides=layered(TINY, places(tmp_path), EARLY, below("0B")))
    plan = api.plan(config)
    assert "of it from disk" in plan.describe()
    masters = {row["name"]: row for row in plan.as_json()["masters"]}
    assert masters["edit"]["memory_bytes"] == 0 < masters["edit"]["file_bytes"]
    assert plan.hosting.read > plan.hosting.written > 0


def test_a_disk_without_room_for_them_is_refused_with_what_would_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from editbench.engine.wiring import Weights

    monkeypatch.setattr(Weights, "file_bytes", lambda self: 100_000)
    config = api.load_config(overrides=layered(TINY, places(tmp_path), EARLY, below("0B")))
    with pytest.raises(DoesNotFit, match="and the disk 100 kB") as caught:
        api.run(config)
    assert "memory.folder" in caught.value.hint
