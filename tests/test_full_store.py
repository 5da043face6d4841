"""A store without room for all edits: score what is stored, say how to go on, go on."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from editbench import api
from editbench.cli.app import app
from editbench.config import layered
from editbench.engine.events import Event, Notice, RunEnded, Swapped
from editbench.errors import StoreFull
from tests.crash import models
from tests.crash.sessions import write_suite
from tests.runs import Made, places, results

PAIRS = 8
SMALL = "150KB"  #: room for two large edits and the small ones between them
PLUGIN = str(Path(models.__file__))


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv(models.NOTES, str(tmp_path / "notes"))
    return {
        "suite": {"path": str(write_suite(tmp_path / "suite", PAIRS))},
        "editor": {"use": f"{PLUGIN}:Editor"},
        "judge": {"use": f"{PLUGIN}:Judge"},
        "memory": {"device": "cpu", "device_budget": f"{models.WEIGHTS * 5 // 4}B"},
    }


def make(folder: Path, events: list[Event], *layers: Mapping[str, Any]) -> Made:
    config = api.load_config(overrides=layered(places(folder), *layers))
    return Made(api.run(config, on_event=events.append), events)


def count(events: list[Event], kind: str) -> int:
    return sum(event.kind == kind for event in events)


@pytest.mark.parametrize("together", [False, True], ids=["phased", "co-resident"])
def test_what_a_full_store_holds_is_scored_and_more_room_finishes_the_run(
    trial: dict[str, Any], tmp_path: Path, together: bool
) -> None:
    device = {"memory": {"device_budget": f"{models.WEIGHTS * 3}B" if together else None}}
    trial = layered(trial, device) if together else trial
    undisturbed = make(tmp_path / "quiet", [], trial)
    first: list[Event] = []
    with pytest.raises(StoreFull) as caught:
        make(tmp_path / "loud", first, trial, {"memory": {"spill": SMALL}})
    edits = count(first, "edit")
    assert 0 < edits == count(first, "score") < PAIRS
    assert f"{edits} of {PAIRS} edits and {edits} of {PAIRS} scores" in caught.value.problems[0]
    assert any(isinstance(e, Notice) and "scoring what is stored" in e.message for e in first)
    assert sum(isinstance(e, Swapped) and e.number == 1 for e in first) == (not together)
    assert isinstance(first[-1], RunEnded) and first[-1].status == "failed"
    again: list[Event] = []
    made = make(tmp_path / "loud", again, trial)
    assert count(again, "edit") == count(again, "score") == PAIRS - edits
    assert results(made.result.folder) == results(undisturbed.result.folder)


def test_the_hint_of_a_full_store_is_a_command_that_goes_on(
    trial: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(StoreFull) as caught:
        make(tmp_path, [], trial, {"memory": {"spill": SMALL}})
    words = shlex.split(caught.value.hint.partition("to go on: ")[2])
    assert words[0] == "editbench" and words[-2:] == ["--spill-budget", "SIZE"]
    full = CliRunner().invoke(app, [*words[1:-1], SMALL, "--display", "none"])
    assert full.exit_code == StoreFull.exit_code == 4
    assert "to go on: editbench resume" in full.output
    done = CliRunner().invoke(app, [*words[1:-1], "10MB", "--display", "none"])
    assert done.exit_code == 0, done.output
    (folder,) = (tmp_path / "runs").iterdir()
    assert len((folder / "items.jsonl").read_text().splitlines()) == PAIRS


def test_a_store_that_is_full_from_the_start_says_so(trial: dict[str, Any], tmp_path: Path) -> None:
    events: list[Event] = []
    with pytest.raises(StoreFull, match="no room"):
        make(tmp_path, events, trial, {"memory": {"spill": "100B"}})
    assert count(events, "edit") == 0
