"""The two stages: what editing and scoring a pair consist of, from decoding to the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from editbench.engine.events import Edited, Event, Failed, Notice, Phase, Scored
from editbench.engine.ledger import Facts, Ledger, read_reply, write_reply
from editbench.engine.memory import pixel_bytes
from editbench.engine.protocols import Editor, EditRequest, Judge, Question
from editbench.engine.scheduler import Finished
from editbench.engine.spill import Spill
from editbench.engine.store import Store
from editbench.records import Edit, Failure, Json, Pair, Verdict

if TYPE_CHECKING:
    from PIL.Image import Image

LoadImages = Callable[[Pair], "tuple[Image, ...]"]
Lease = Callable[[], AbstractContextManager[object]]


LONG = 16_000  #: bytes of a reply that is stored by itself


class LostEdit(Exception):
    """A stored edit is gone or damaged; the pair is edited again."""


class _Stage:
    def __init__(
        self,
        ledger: Ledger,
        *,
        load_images: LoadImages,
        lease: Lease,
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
        self._emit = emit

    def label(self, index: int) -> str:
        return self._ledger.suite[index].id

    def shape(self, index: int) -> Hashable:
        return self._facts(index).sizes

    def _facts(self, index: int) -> Facts:
        facts = self._ledger.facts[index]
        assert not isinstance(facts, str)  # unreadable pairs never reach a stage
        return facts

    def _source_bytes(self, index: int) -> int:
        return sum(pixel_bytes(*size) for size in self._facts(index).sizes)

    def _failed(self, phase: Phase, index: int, failure: Failure) -> Failure:
        self.failed += 1
        self._ledger.failures[index] = failure
        pair = self._ledger.suite[index]
        message = f"{failure.error}: {failure.message}"
        self._emit(Failed(time.time(), phase, pair.id, pair.category, failure.state, message))
        return failure


class EditStage(_Stage):
    """Sources in, durable edits out."""

    phase: Phase = "edit"

    def __init__(
        self,
        ledger: Ledger,
        editor: Editor,
        spill: Spill,
        *,
        provenance: Mapping[str, Json],
        on_edit: Callable[[int], None],
        **common: Any,
    ) -> None:
        super().__init__(ledger, **common)
        self._editor = editor
        self._spill = spill
        self._provenance = provenance
        self._on_edit = on_edit
        self._largest = 0  # bytes of the largest edit so far; editors choose their own sizes

    def weigh(self, index: int) -> int:
        source = self._source_bytes(index)
        return source + max(source, self._largest)

    def prepare(self, index: int) -> EditRequest:
        pair = self._ledger.suite[index]
        seed = self._ledger.seed(pair, self._facts(index))
        return EditRequest(pair.id, self._load_images(pair), pair.instruction, seed)

    def step(self, inputs: Sequence[EditRequest], stop: Callable[[], bool]) -> Sequence[Image]:
        with self._lease():
            return self._editor.edit(inputs, stop=stop)

    def finish(self, done: Sequence[Finished]) -> list[Edit]:
        out = []
        for item in done:
            provenance = {**self._provenance, "batch": item.batch}
            image: Image = item.output
            out.append(
                self._spill.put(
                    self._ledger.key(item.index),
                    image,
                    seconds=item.seconds,
                    provenance=provenance,
                )
            )
            self._largest = max(self._largest, pixel_bytes(image.width, image.height))
        return out

    def announce(self, index: int, result: Edit | Failure, seconds: float) -> Failure | None:
        if isinstance(result, Failure):
            return self._failed("edit", index, result)
        self.done += 1
        self.seconds += seconds
        self._ledger.edited(index, result)
        pair = self._ledger.suite[index]
        self._emit(
            Edited(time.time(), pair.id, pair.category, seconds, result.width, result.height)
        )
        self._on_edit(index)
        return None


class ScoreStage(_Stage):
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
        **common: Any,
    ) -> None:
        super().__init__(ledger, **common)
        self._judge = judge
        self._spill = spill
        self._store = store
        self._provenance = provenance
        self.lost = 0  #: edits that turned out to be gone or damaged

    def weigh(self, index: int) -> int:
        return self._source_bytes(index) + pixel_bytes(*self._ledger.size(index))

    def shape(self, index: int) -> Hashable:
        return self._facts(index).sizes, self._ledger.size(index)

    def prepare(self, index: int) -> tuple[Question, str]:
        found = self._spill.get(self._ledger.key(index))
        if found is None:
            raise LostEdit("the stored edit is gone or damaged")
        edit, image = found
        pair = self._ledger.suite[index]
        prompt = self._ledger.prompt(pair)
        images = (*self._load_images(pair), image)
        question = Question(pair.id, images, prompt.system, prompt.user, prompt.contract)
        return question, edit.pixels

    def step(
        self, inputs: Sequence[tuple[Question, str]], stop: Callable[[], bool]
    ) -> Sequence[Any]:
        with self._lease():
            return self._judge.ask([question for question, _ in inputs], stop=stop)

    def finish(self, done: Sequence[Finished]) -> list[Verdict]:
        pairs = [self._ledger.suite[item.index] for item in done]
        rows = []
        for pair, item in zip(pairs, done, strict=True):
            header, payload = write_reply(
                item.output, seconds=item.seconds, provenance=self._provenance
            )
            key = self._ledger.verdict_key(pair, item.index, item.input[1])
            rows.append((key, header | {"batch": item.batch}, payload))
        if self._add(rows) == len(rows):
            replies = [item.output for item in done]
        else:  # another run was first with some: what it stored is what counts
            replies = [self._stored(key, header, payload) for key, header, payload in rows]
        return [self._ledger.parse(*both) for both in zip(pairs, replies, strict=True)]

    def _add(self, rows: Sequence[tuple[str, Mapping[str, Json], bytes]]) -> int:
        # What is left of a full disk is there for verdicts: losing one would cost a whole edit.
        if max(len(payload) for _, _, payload in rows) < LONG:
            return self._store.add_many(rows, vital=True)
        return sum(self._store.add(*row, vital=True) for row in rows)

    def _stored(self, key: str, header: Mapping[str, Json], payload: bytes) -> Any:
        record = self._store.get(key)
        return read_reply(record.header, record.payload) if record else read_reply(header, payload)

    def announce(self, index: int, result: Verdict | Failure, seconds: float) -> Failure | None:
        pair = self._ledger.suite[index]
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
