"""A run beside another one that has pairs of both in hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from editbench import api
from editbench.config import layered
from editbench.engine import run
from editbench.engine.claims import Claims
from editbench.engine.events import Edited, Event, Notice
from editbench.engine.store import Store
from tests.runs import TINY, make, pairs, places, results

NAMES = ["ant", "bee", "cow", "dog"]


class Neighbor:
    """Another run on a store, as far as it can be seen: it has some edits in hand."""

    def __init__(self, store: Path, keys: list[str]) -> None:
        store.mkdir(parents=True, mode=0o700)
        self._mine, self._anyone = Claims(store), Claims(store)
        assert self._mine.take(keys) == []

    def leave(self) -> None:
        self._mine.close()
        self._anyone.close()


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A run that nothing disturbed, with a store of its own."""
    return make(tmp_path / "alone", pairs(tmp_path / "x", NAMES)).result.folder


@pytest.fixture
def keys(alone: Path) -> list[str]:
    with Store.open(alone.parent.parent / "store", read_only=True) as store:
        return [key for key, _, _ in store.records("e:")]


def test_pairs_in_other_hands_come_last_and_are_not_waited_for_before(
    tmp_path: Path, alone: Path, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Neighbor(tmp_path / "b/store", keys[:2])
    edited: list[str] = []

    def watch(event: Event) -> None:
        assert not (isinstance(event, Notice) and "in hand" in event.message)
        if isinstance(event, Edited):
            edited.append(event.pair)
            if len(edited) == 2:
                other.leave()  # killed, say: it stored nothing

    settings = layered(TINY, places(tmp_path / "b"), pairs(tmp_path / "x", NAMES))
    result = api.run(api.load_config(overrides=settings), on_event=watch)
    late = {item["id"] for item in result.items() if item["edit"]["key"] in keys[:2]}
    assert set(edited[2:]) == late and len(edited) == 4
    assert results(result.folder) == results(alone)


def test_a_neighbor_that_stands_still_does_not_hold_a_run_up_for_ever(
    tmp_path: Path, alone: Path, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "OTHERS", 0.5)
    other = Neighbor(tmp_path / "b/store", keys[:2])
    made = make(tmp_path / "b", pairs(tmp_path / "x", NAMES))
    other.leave()
    notices = [event.message for event in made.events if isinstance(event, Notice)]
    assert sum("another run has had 2 pairs in hand" in message for message in notices) == 1
    assert results(made.result.folder) == results(alone)
