"""The stages of an edit that is made in parts: a state goes in, a state or the edit comes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from editbench.engine.events import Advanced, Notice
from editbench.engine.ledger import Ledger
from editbench.engine.protocols import PartedEditor
from editbench.engine.returned import proven_edits
from editbench.engine.spill import Spill
from editbench.engine.stages import Asked, EditStage
from editbench.engine.states import State, States
from editbench.engine.steps import Finished
from editbench.records import Failure


class LostState(Exception):
    """What a part left is gone or damaged; the pair begins again."""


class LastPart(EditStage):
    """States in, durable edits out."""

    def __init__(
        self,
        ledger: Ledger,
        editor: PartedEditor,
        spill: Spill,
        states: States,
        *,
        part: str,
        **common: Any,
    ) -> None:
        super().__init__(ledger, editor, spill, **common)
        self._parted = editor
        self._states = states
        self.part = part
        self._done = states.parts.index(self.part)  # parts before this one

    def shape(self, index: int) -> Hashable:
        return self.part, super().shape(index)

    def weigh(self, index: int) -> int:
        return super().weigh(index) + 2 * self._expected(index)  # as bytes, and as tensors

    def prepare(self, index: int) -> Asked:
        asked = super().prepare(index)
        if not self._done:
            return asked
        state = self._states.get(asked.key, self._states.parts[self._done - 1])
        if state is None and not self._states.is_past(asked.key, self.part):
            raise LostState("what was kept of its edit is gone or damaged")
        return asked._replace(state=state or State())

    def _put(self, done: Sequence[Finished]) -> Sequence[Any]:
        edits = super()._put(done)
        for item in done:
            self._states.drop(item.input.key)
        return edits

    def announce(self, index: int, result: Any, seconds: float) -> Failure | None:
        if not isinstance(result, Failure) or result.error != LostState.__name__:
            return super().announce(index, result, seconds)
        self.lost += 1
        self._ledger.advanced(index, 0)
        text = f"{self.label(index)}: {result.message}; it will be made again"
        self._emit(Notice(time.time(), "warning", text))
        return None

    def _make(self, inputs: Sequence[Asked], stop: Callable[[], bool]) -> Sequence[Any]:
        return proven_edits(
            [self._parted.finish_parts(one.request, one.state.payload, stop=stop) for one in inputs]
        )

    def _expected(self, index: int) -> int:
        """Return the bytes of a state that this pair may have, or have had."""
        sizes = self._facts(index).sizes
        return self._states.largest or max(self._parted.state_bytes(*size) for size in sizes)


class EarlierPart(LastPart):
    """States in, durable states out."""

    def prepare(self, index: int) -> Asked:
        # A later part replaces a state; until one was seen it is to be no larger, since asking for
        # more would keep a full disk from being emptied.
        usual = self._states.size(self.part) or (0 if self._done else self._expected(index))
        self._states.expect(usual)
        return super().prepare(index)

    def _put(self, done: Sequence[Finished]) -> Sequence[Any]:
        for item in done:
            if isinstance(item.output, bytes):
                seconds = item.input.state.seconds + item.seconds
                self._states.put(item.input.key, self.part, State(item.output, seconds))
        return [None] * len(done)

    def announce(self, index: int, result: Any, seconds: float) -> Failure | None:
        if isinstance(result, Failure):
            return super().announce(index, result, seconds)
        self.done += 1
        self._ledger.advanced(index, self._done + 1)
        pair = self._ledger.pair(index)
        parts = len(self._states.parts)
        self._emit(Advanced(time.time(), pair.id, pair.category, seconds, self.part, parts))
        return None

    def _stored(self, inputs: Sequence[Asked]) -> Mapping[int, Any]:
        past = (self._states.is_past(one.key, self.part) for one in inputs)
        return {at: State() for at, is_past in enumerate(past) if is_past}

    def _name(self, one: Asked) -> str:
        return f"{one.key} {self.part}"

    def _make(self, inputs: Sequence[Asked], stop: Callable[[], bool]) -> Sequence[Any]:
        return [
            self._parted.run_part(self.part, one.request, one.state.payload, stop=stop)
            for one in inputs
        ]
