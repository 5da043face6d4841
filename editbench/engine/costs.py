"""What edits, verdicts and moves cost on this machine, remembered from run to run.

Only the plan's estimate of time uses it; a wrong number makes nothing else wrong.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Literal

from editbench.engine import keys
from editbench.engine.plan import Costs
from editbench.engine.store import Store
from editbench.errors import StoreError
from editbench.records import Json

Measure = Literal["edit", "score", "move"]


class CostBook:
    """Measured costs of two models on a device, kept in the store."""

    def __init__(
        self, store: Store, device: str, *, editor: Mapping[str, Json], judge: Mapping[str, Json]
    ) -> None:
        self._store = store
        place = {"machine": platform.node(), "device": device}
        subjects = {"edit": dict(editor), "score": dict(judge), "move": {}}
        self._keys = {
            measure: "m:" + keys.digest("cost", place | {"measure": measure, "of": subject})
            for measure, subject in subjects.items()
        }

    def read(self) -> Costs:
        """Return what is known: seconds for each edit and verdict, bytes a second for moves."""
        return Costs(self._value("edit"), self._value("score"), self._value("move"))

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
