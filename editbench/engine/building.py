"""Builds the stages of a run from its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from editbench.engine import keys
from editbench.engine.events import Event, Phase
from editbench.engine.models import Models
from editbench.engine.part_stages import EarlierPart, LastPart
from editbench.engine.phases import Role
from editbench.engine.protocols import Model
from editbench.engine.stages import EditStage, ScoreStage
from editbench.engine.wiring import Parts


class Stages:
    """Makes the stages of one session."""

    def __init__(
        self, parts: Parts, models: Mapping[Role, Models], emit: Callable[[Event], None]
    ) -> None:
        self._parts = parts
        self._models = models
        self._emit = emit

    def edit(self, part: str, on_edit: Callable[[int], None] | None) -> EditStage:
        """Return the stage that makes edits, or one part of them.

        ``on_edit`` gets each pair that can be scored now, if that is done at the same time.
        """
        parts = self._parts
        common = self._common("edit")
        common |= {"provenance": {"record": self._provenance(parts.editor)}, "on_edit": on_edit}
        if not part or not parts.states:
            whole = {"max_batch": parts.edit_batch, **common}
            return EditStage(parts.ledger, parts.editor, parts.spill, **whole)
        common |= {"part": part, "max_batch": 1}
        editor: Any = parts.editor
        if part == parts.states.parts[-1]:
            return LastPart(parts.ledger, editor, parts.spill, parts.states, **common)
        common["on_edit"] = None  # what it makes cannot be scored yet
        return EarlierPart(parts.ledger, editor, parts.spill, parts.states, **common)

    def score(self) -> ScoreStage:
        """Return the stage that scores edits."""
        parts = self._parts
        return ScoreStage(
            parts.ledger,
            parts.judge,
            parts.spill,
            parts.store,
            provenance=self._provenance(parts.judge),
            keep=parts.keep,
            max_batch=parts.score_batch,
            **self._common("score"),
        )

    def _common(self, phase: Phase) -> dict[str, Any]:
        return {
            "load_images": self._parts.load_images,
            "lease": lambda: self._models[phase].lease(phase),
            "relieve": lambda: self._models[phase].relieve(phase),
            "claims": self._parts.claims,
            "emit": self._emit,
        }

    def _provenance(self, model: Model) -> str:
        """Store what a model's results owe to this machine, once; return the record's key."""
        facts = dict(model.provenance())
        key = "p:" + keys.digest("provenance", facts)
        self._parts.store.add(key, facts, vital=True)  # verdicts on a full disk need it too
        return key
