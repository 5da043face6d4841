"""What edits, verdicts and moves cost on this machine, remembered from run to run.

Plans are made with it; a wrong number makes a plan worse and no result wrong.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Literal

from editbench.engine import keys
from editbench.engine.events import Phase
from editbench.engine.plan import Costs
from editbench.engine.store import Store
from editbench.errors import StoreError
from editbench.records import Json

Measure = Literal["edit", "score", "move", "edit bytes", "score bytes"]

WORKING: dict[Phase, Measure] = {"edit": "edit bytes", "score": "score bytes"}


class CostBook:
    """Measured costs of two models on a device, kept in the store."""

    def __init__(
        self, store: Store, device: str, *, editor: Mapping[str, Json], judge: Mapping[str, Json]
    ) -> None:
        self._store = store
        place = {"machine": platform.node(), "device": device}
        subjects: dict[Measure, Json] = {
            "edit": dict(editor),
            "edit bytes": dict(editor),
            "score": dict(judge),
            "score bytes": dict(judge),
            "move": {},
        }
        self._keys = {
            measure: "m:" + keys.digest("cost", place | {"measure": measure, "of": subject})
            for measure, subject in subjects.items()
        }

    def read(self) -> Costs:
        """Return what is known: seconds for each edit and verdict, bytes a second for moves."""
        return Costs(self._value("edit"), self._value("score"), self._value("move"))

    def working(self, phase: Phase) -> int | None:
        """Return the most bytes that one item of a step was seen to take beside the weights."""
        value = self._value(WORKING[phase])
        return None if value is None else int(value)

    def _value(self, measure: Measure) -> float | None:
        header = self._store.header(self._keys[measure])
        return None if header is None else float(header["value"])

    def write(self, measure: Measure, value: float) -> None:
        """Remember a new measurement instead of the old one, if the store has room."""
        key = self._keys[measure]
        try:
            self._store.delete(key)
            self._store.add(key, {"value": value})
        except StoreError:
            return
