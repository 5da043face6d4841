"""The two stages: what editing and scoring a pair consist of, from decoding to the store."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from editbench.engine.claims import Claims
from editbench.engine.commits import Row, add_together
from editbench.engine.events import Edited, Event, Failed, Notice, Phase, Scored
from editbench.engine.ledger import Ledger, read_reply, write_reply
from editbench.engine.memory import coding_bytes, pixel_bytes
from editbench.engine.phases import Keep
from editbench.engine.protocols import Editor, EditRequest, Judge, Question
from editbench.engine.returned import proven_edits, proven_replies
from editbench.engine.sharing import shared
from editbench.engine.spill import Made, Spill
from editbench.engine.states import State
from editbench.engine.steps import Finished
from editbench.engine.store import Store
from editbench.records import Edit, Facts, Failure, Json, Pair, Reply, Verdict

if TYPE_CHECKING:
    from PIL.Image import Image

LoadImages = Callable[[Pair], "tuple[Image, ...]"]
Lease = Callable[[], AbstractContextManager[object]]


class LostEdit(Exception):
    """A stored edit is gone or damaged; the pair is edited again."""


class PairStage(ABC):
    """What both stages know of a pair."""

    part = ""  #: of the edits, if they are made in parts
    lost = 0  #: pairs whose results so far turned out to be gone or damaged

    def __init__(
        self,
        ledger: Ledger,
        *,
        load_images: LoadImages,
        lease: Lease,
        claims: Claims,
        relieve: Callable[[], bool],
        max_batch: int,
        emit: Callable[[Event], None],
    ) -> None:
        self.max_batch = max_batch
        self.done = 0
        self.failed = 0
        self.seconds = 0.0  #: on the device, of those that are done
        self._ledger = ledger
        self._load_images = load_images
        self._lease = lease
        self._claims = claims
        self.relieve = relieve
        self._emit = emit

    def label(self, index: int) -> str:
        return self._ledger.pair(index).id

    def shape(self, index: int) -> Hashable:
        return self._facts(index).sizes

    def finished(self) -> int:
        """Return for how many pairs nothing is left to do here."""
        return self.done + self.failed

    def finish(self, done: Sequence[Finished]) -> Sequence[Any]:
        try:
            return self._put(done)
        finally:
            self._claims.drop(self._name(item.input) for item in done)

    @abstractmethod
    def _put(self, done: Sequence[Finished]) -> Sequence[Any]:
        """Store outputs and return what is to be announced for each."""

    @abstractmethod
    def _name(self, one: Any) -> str:
        """Return what other runs know the work on an input by."""

    def _may_be_stored(self) -> bool:
        """Return whether somebody else may have stored some of what this stage has to make."""
        return self._ledger.has_twins or not self._claims.alone

    def _facts(self, index: int) -> Facts:
        facts = self._ledger.sources(index)
        assert not isinstance(facts, str)  # unreadable pairs never reach a stage
        return facts

    def _source_bytes(self, index: int) -> int:
        return sum(pixel_bytes(*size) for size in self._facts(index).sizes)

    def _failed(self, phase: Phase, index: int, failure: Failure) -> Failure:
        self.failed += 1
        self._ledger.failures[index] = failure
        pair = self._ledger.pair(index)
        message = f"{failure.error}: {failure.message}"
        self._emit(Failed(time.time(), phase, pair.id, pair.category, failure.state, message))
        return failure


class Asked(NamedTuple):
    """An edit to make, and what its parts so far have come to."""

    request: EditRequest
    key: str
    sources: tuple[Image, ...] = ()  #: as they were before the editor had them, if scoring is next
    state: State = State()


class EditStage(PairStage):
    """Sources in, durable edits out."""

    phase: Phase = "edit"

    def __init__(
        self,
        ledger: Ledger,
        editor: Editor,
        spill: Spill,
        *,
        provenance: Mapping[str, Json],
        on_edit: Callable[[int], None] | None,
        **common: Any,
    ) -> None:
        """``on_edit`` gets each pair that can be scored now, if that is done at the same time."""
        super().__init__(ledger, **common)
        self._editor = editor
        self._spill = spill
        self._provenance = provenance
        self._on_edit = on_edit
        self._largest = 0  # pixels of the largest edit so far; editors choose their own sizes

    def weigh(self, index: int) -> int:
        source = self._source_bytes(index) * (2 if self._on_edit else 1)
        pixels = max(self._largest, *(w * h for w, h in self._facts(index).sizes))
        return source + pixel_bytes(pixels, 1) + coding_bytes(pixels, 1)

    def prepare(self, index: int) -> Asked:
        pair = self._ledger.pair(index)
        images = self._load_images(pair)
        copies = tuple(image.copy() for image in images) if self._on_edit else ()
        request = EditRequest(pair.id, images, pair.instruction, self._ledger.seed(index))
        return Asked(request, self._ledger.key(index), copies)

    def step(self, inputs: Sequence[Asked], stop: Callable[[], bool]) -> Sequence[Any]:
        def make(rest: Sequence[Asked]) -> Sequence[Any]:
            with self._lease():
                return self._make(rest, stop)

        names = [self._name(one) for one in inputs]
        stored = partial(self._stored, inputs)
        return shared(inputs, names, claims=self._claims, stored=stored, make=make)

    def _name(self, one: Asked) -> str:
        return one.key

    def _stored(self, inputs: Sequence[Asked]) -> Mapping[int, Any]:
        """Return what has been stored of these since the ledger was filled, by its place."""
        if not self._may_be_stored():
            return {}
        edits = self._spill.facts_of([one.key for one in inputs])
        return {at: edits[one.key] for at, one in enumerate(inputs) if one.key in edits}

    def _make(self, inputs: Sequence[Asked], stop: Callable[[], bool]) -> Sequence[Any]:
        return proven_edits(self._editor.edit([one.request for one in inputs], stop=stop))

    def _put(self, done: Sequence[Finished]) -> Sequence[Any]:
        made = [
            Made(
                item.input.key,
                item.output,
                item.input.state.seconds + item.seconds,
                {**self._provenance, "batch": item.batch},
                item.input.sources,
            )
            for item in done
            if not isinstance(item.output, Edit)
        ]
        new = iter(self._spill.put_many(made))
        edits = [item.output if isinstance(item.output, Edit) else next(new) for item in done]
        largest = max(edit.width * edit.height for edit in edits)
        self._largest = max(self._largest, largest)
        return edits

    def announce(self, index: int, result: Any, seconds: float) -> Failure | None:
        if isinstance(result, Failure):
            return self._failed("edit", index, result)
        self.done += 1
        self.seconds += result.seconds
        self._ledger.edited(index, result)
        pair = self._ledger.pair(index)
        self._emit(
            Edited(time.time(), pair.id, pair.category, seconds, result.width, result.height)
        )
        if self._on_edit:
            self._on_edit(index)
        return None


class ScoreStage(PairStage):
    """Stored edits in, durable verdicts out."""

    phase: Phase = "score"

    def __init__(
        self,
        ledger: Ledger,
        judge: Judge,
        spill: Spill,
        store: Store,
        *,
        provenance: str,
        keep: Keep,
        **common: Any,
    ) -> None:
        super().__init__(ledger, **common)
        self._judge = judge
        self._keep = keep
        self._spill = spill
        self._store = store
        self._provenance = provenance

    def weigh(self, index: int) -> int:
        size = self._ledger.size(index)
        return self._source_bytes(index) + pixel_bytes(*size) + coding_bytes(*size)

    def shape(self, index: int) -> Hashable:
        return self._facts(index).sizes, self._ledger.size(index)

    def prepare(self, index: int) -> tuple[Question | None, str]:
        key = self._ledger.key(index)
        found = self._spill.get(key)
        if found is None:
            twin = self._spill.retired(key)  # of an equal pair, scored and not kept
            if twin and (verdict := self._ledger.verdict_key(index, twin.pixels)) in self._store:
                return None, verdict
            raise LostEdit("the stored edit is gone or damaged")
        pair, prompt = self._ledger.pair(index), self._ledger.prompt(index)
        images = (*(found.sources or self._load_images(pair)), found.image)
        question = Question(pair.id, images, prompt.system, prompt.user, prompt.contract)
        return question, self._ledger.verdict_key(index, found.edit.pixels)

    def step(
        self, inputs: Sequence[tuple[Question | None, str]], stop: Callable[[], bool]
    ) -> Sequence[Any]:
        keys = [self._name(one) for one in inputs]

        def make(rest: Sequence[tuple[Question | None, str]]) -> list[Reply | Failure]:
            return self._ask([question for question, _ in rest if question], stop)

        def stored() -> Mapping[int, Reply | None]:
            if all(question for question, _ in inputs) and not self._may_be_stored():
                return {}
            return {place: self._reply(keys[place]) for place in self._store.held(keys)}

        return shared(inputs, keys, claims=self._claims, stored=stored, make=make)

    def _name(self, one: tuple[Question | None, str]) -> str:
        return one[1]

    def _ask(
        self, questions: Sequence[Question], stop: Callable[[], bool]
    ) -> list[Reply | Failure]:
        with self._lease():
            return proven_replies(self._judge.ask(questions, stop=stop))

    def _reply(self, key: str) -> Reply | None:
        record = self._store.get(key)
        return read_reply(record.header, record.payload) if record else None

    def _put(self, done: Sequence[Finished]) -> list[Verdict]:
        rows = []
        for item in done:
            header, payload = write_reply(
                item.output, seconds=item.seconds, provenance=self._provenance
            )
            header |= {"batch": item.batch, "of": self._ledger.pixels(item.index)}
            rows.append(Row(item.input[1], header, payload))
        # What is left of a full disk is there for verdicts: losing one would cost a whole edit.
        if add_together(self._store, rows, vital=True) == len(rows):
            replies = [item.output for item in done]
        else:  # another run was first with some: what it stored is what counts
            replies = [
                self._reply(row.key) or item.output for row, item in zip(rows, done, strict=True)
            ]
        if self._keep != "all":
            for item in done:
                key = self._ledger.key(item.index)
                self._spill.retire(key, thumbnail=self._keep == "thumbnails")
        return [
            self._ledger.parse(item.index, reply) for item, reply in zip(done, replies, strict=True)
        ]

    def announce(self, index: int, result: Verdict | Failure, seconds: float) -> Failure | None:
        pair = self._ledger.pair(index)
        now = time.time()
        if not isinstance(result, Failure):
            self.done += 1
            self.seconds += seconds
            self._ledger.scored(index)
            self._emit(Scored(now, pair.id, pair.category, seconds, result.state, result.overall))
            return None
        if result.error != LostEdit.__name__:
            return self._failed("score", index, result)
        self.lost += 1
        self._ledger.lost(index)
        self._emit(Notice(now, "warning", f"{pair.id}: {result.message}; it will be made again"))
        return None
