"""What is known of every pair of a run: one compact row each, filled from suite and store.

The store is the checkpoint: a fresh ledger over the same store is the whole of resuming.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np

from editbench.engine import keys
from editbench.engine.facts import FactsTable
from editbench.engine.phases import Work
from editbench.engine.protocols import Suite
from editbench.engine.spill import Spill
from editbench.engine.states import States
from editbench.engine.store import Store
from editbench.records import Edit, Facts, Failure, Json, Outcome, Pair, Reply, Verdict

TOGETHER = 256  #: pairs whose results are looked up in one query
RECENT = 1024  #: pairs, and what is asked about them, that are not read anew for each use
TYPICAL_EDIT = 1_300_000  #: bytes of a stored edit, until this run has edits to measure


class Prompt(Protocol):
    """What a judge is asked about one pair."""

    @property
    def system(self) -> str: ...

    @property
    def user(self) -> str: ...

    @property
    def contract(self) -> Mapping[str, Json]: ...


class Rules(NamedTuple):
    """What besides the pairs determines the results."""

    editor: Mapping[str, Json]  #: the editor's identity
    judge: Mapping[str, Json]  #: the judge's identity
    seed: int
    seed_policy: str  #: "pair" or "fixed"
    prompt: Callable[[Pair], Prompt]
    parse: Callable[[Pair, Prompt, Reply], Verdict]


class _Seen(NamedTuple):
    """A pair whose results are looked up."""

    row: int
    pair: Pair
    facts: Facts
    key: str  #: of its edit


class Ledger:
    """The state of every pair. What changes it is for one thread, the rest for any."""

    def __init__(
        self,
        suite: Suite,
        pairs: Iterable[tuple[Pair, Facts | str]],
        rules: Rules,
        *,
        store: Store,
        spill: Spill,
        states: States | None = None,
    ) -> None:
        """Read ``pairs``, the suite's in order, each with its facts or why it has none."""
        self.facts = facts = FactsTable()
        #: of an index: the pair, what is known of its sources, and what the judge is asked about it
        self.pair: Callable[[int], Pair] = lru_cache(RECENT)(suite.__getitem__)
        self.sources: Callable[[int], Facts | str] = lru_cache(RECENT)(facts.__getitem__)
        self.prompt: Callable[[int], Prompt] = lru_cache(RECENT)(self._prompt)
        self.failures: dict[int, Failure] = {}
        self._rules = rules
        self._editor = keys.digest("model", dict(rules.editor))
        self._judge = keys.digest("model", dict(rules.judge))
        self._contracts: dict[int, tuple[object, str]] = {}
        self._store = store
        self._spill = spill
        self._reached: dict[int, int] = {}
        self._count = count = len(suite)
        self._seeds = array("Q", bytes(8 * count))
        self._keys = bytearray(32 * count)
        self._pixels = bytearray(32 * count)  # of the edit; zeros while there is none
        self._width = array("I", bytes(4 * count))
        self._height = array("I", bytes(4 * count))
        self._scored = bytearray(count)
        self._only_scores = False
        self._edits = self._bytes = 0  # to know how large a stored edit is
        self._category = array("H", bytes(2 * count))
        self.categories: list[str] = []
        self.has_twins = False  #: whether two pairs may have the same edit
        self.latest: int | None = None  #: the pair that was edited or scored last
        self._fill(iter(pairs), states.reached() if states else {})

    def __len__(self) -> int:
        return self._count

    def _fill(self, pairs: Iterator[tuple[Pair, Facts | str]], reached: Mapping[str, int]) -> None:
        numbers: dict[str, int] = {}
        while some := list(islice(pairs, TOGETHER)):
            found: list[_Seen] = []
            for index, (pair, facts) in enumerate(some, len(self.facts)):
                self.facts.append(facts)
                self._category[index] = numbers.setdefault(pair.category, len(numbers))
                if isinstance(facts, str):
                    self.failures[index] = Failure("edit_failed", "SuiteError", facts, 0)
                    continue
                text = pair.instruction
                self._seeds[index] = keys.seed_of(facts.pixels, text, base=self._rules.seed)
                seed = self.seed(index)
                key = keys.edit_key(facts.pixels, text, editor=self._editor, seed=seed)
                self._keys[32 * index : 32 * index + 32] = bytes.fromhex(key[2:])
                found.append(_Seen(index, pair, facts, key))
            self._read_results(found, reached)
        self.categories = list(numbers)
        starts = np.frombuffer(self._keys, np.uint64)[::4]
        self.has_twins = np.unique(starts).size < len(self)

    def _chunks(self) -> Iterator[range]:
        count = len(self)
        return (range(i, min(i + TOGETHER, count)) for i in range(0, count, TOGETHER))

    def _read_results(self, found: Sequence[_Seen], reached: Mapping[str, int]) -> None:
        """Fill the rows of some pairs from the store."""
        stored = self._spill.facts_of([each.key for each in found])
        retired = self._spill.retired_of([each.key for each in found if each.key not in stored])
        edits = stored | retired
        judged = [each for each in found if each.key in edits]
        verdicts = [
            self._verdict_key(edits[key].pixels, facts, self._rules.prompt(pair))
            for _, pair, facts, key in judged
        ]
        for place in self._store.held(verdicts):
            self._scored[judged[place].row] = 1
        for index, _, _, key in found:
            edit = edits.get(key)
            if edit is None:
                self.advanced(index, reached.get(key, 0))
            elif key in stored or self._scored[index]:  # else it is of use to its verdict only
                self.edited(index, edit)

    def seed(self, index: int) -> int:
        """Return the seed of a pair's edit."""
        return self._rules.seed if self._rules.seed_policy == "fixed" else self._seeds[index]

    def key(self, index: int) -> str:
        """Return the key of a pair's edit."""
        return "e:" + self._keys[32 * index : 32 * index + 32].hex()

    def all_keys(self) -> bytes:
        """Return the keys of all edits, stored or not: 32 bytes each, in the suite's order."""
        return bytes(self._keys)

    def _prompt(self, index: int) -> Prompt:
        return self._rules.prompt(self.pair(index))

    def parse(self, index: int, reply: Reply) -> Verdict:
        """Return the verdict that a reply about a pair amounts to."""
        return self._rules.parse(self.pair(index), self.prompt(index), reply)

    def verdict_key(self, index: int, pixels: str) -> str:
        """Return the key of the reply about an edit with these pixels."""
        facts = self.sources(index)
        assert not isinstance(facts, str)  # a pair without sources has no edit to judge
        return self._verdict_key(pixels, facts, self.prompt(index))

    def _verdict_key(self, pixels: str, facts: Facts, prompt: Prompt) -> str:
        return keys.verdict_key(
            pixels,
            facts.pixels,
            judge=self._judge,
            system=prompt.system,
            user=prompt.user,
            contract=self._contract(prompt.contract),
        )

    def verdict(self, index: int) -> Verdict | None:
        """Return the stored verdict on a pair's edit; None if there is none."""
        pixels = self._pixels[32 * index : 32 * index + 32].hex()
        record = self._store.get(self.verdict_key(index, pixels))
        return self.parse(index, read_reply(record.header, record.payload)) if record else None

    def _contract(self, contract: Mapping[str, Json]) -> str:
        # A run has a handful of contracts, each shared by many prompts: hashed once, and held, so
        # that no other object can have its address.
        known = self._contracts.get(id(contract))
        if known is None:
            known = contract, keys.digest("contract", dict(contract))
            if len(self._contracts) < RECENT:
                self._contracts[id(contract)] = known
        return known[1]

    def category(self, index: int) -> str:
        """Return a pair's category."""
        return self.categories[self._category[index]]

    def pixels(self, index: int) -> str:
        """Return the hash of the pixels of a pair's edit; zeros while there is none."""
        return self._pixels[32 * index : 32 * index + 32].hex()

    def size(self, index: int) -> tuple[int, int]:
        """Return the width and height of a pair's edit; zeros while there is none."""
        return self._width[index], self._height[index]

    def edited(self, index: int, edit: Edit) -> None:
        """Note that a pair's edit is stored."""
        self._pixels[32 * index : 32 * index + 32] = bytes.fromhex(edit.pixels)
        self._width[index], self._height[index] = edit.width, edit.height
        self._reached.pop(index, None)
        self.latest = index
        self._edits += 1
        self._bytes += edit.bytes

    def advanced(self, index: int, parts: int) -> None:
        """Note how many parts of a pair's edit are done."""
        if parts:
            self._reached[index] = parts
        else:
            self._reached.pop(index, None)

    def reached(self, index: int) -> int:
        """Return how many parts of a pair's edit are done."""
        return self._reached.get(index, 0)

    def lost(self, index: int) -> None:
        """Note that a pair's edit turned out to be gone or damaged."""
        self._width[index] = self._height[index] = 0
        if self._only_scores:
            self._forgo(index)

    def forgo_edits(self) -> int:
        """Make no edits from now on: a pair without one has failed. Return how many have one."""
        self._only_scores = True
        for index in range(len(self)):
            if not self.is_edited(index):
                self._forgo(index)
        return sum(map(self.is_edited, range(len(self))))

    def _forgo(self, index: int) -> None:
        said = "no edit of it is stored, and this run only scores"
        self.failures.setdefault(index, Failure("edit_failed", "NotStored", said, 0))

    def forget_bad_replies(self) -> int:
        """Delete the replies that came to no score, so that they are asked for again; count them.

        Raises ``StoreError``.
        """
        bad = [index for index in range(len(self)) if self._may_ask_again(index)]
        for index in bad:
            self._store.delete(self.verdict_key(index, self.pixels(index)))
            self._scored[index] = 0
        return len(bad)

    def _may_ask_again(self, index: int) -> bool:
        if not self._scored[index] or self.key(index) not in self._store:
            return False  # without its image an edit cannot be judged again
        record = self._store.get(self.verdict_key(index, self.pixels(index)))
        if record is None:
            return False
        return self.parse(index, read_reply(record.header, record.payload)).state != "ok"

    def scored(self, index: int) -> None:
        """Note that a pair's verdict is stored."""
        self._scored[index] = 1
        self.latest = index

    def is_scored(self, index: int) -> bool:
        return bool(self._scored[index])

    def is_edited(self, index: int) -> bool:
        return self._width[index] > 0

    def work(self) -> Work:
        """Return what is left, failures of this session aside."""
        missing, ready, done = array("I"), array("I"), 0
        for index in range(len(self)):
            if self._scored[index]:
                done += 1
            elif index not in self.failures:
                (ready if self._width[index] else missing).append(index)
        first = sum(self._category[index] == self._category[missing[0]] for index in missing)
        return Work(
            missing=missing,
            ready=ready,
            done=done,
            edit_bytes=self._bytes // self._edits if self._edits else TYPICAL_EDIT,
            first=first,
            reached=dict(self._reached),
        )

    def count(self, test: Callable[[int], bool]) -> dict[str, int]:
        """Return how many pairs of each category pass a test, in the suite's order."""
        counts = dict.fromkeys(self.categories, 0)
        for index in range(len(self)):
            if test(index):
                counts[self.category(index)] += 1
        return counts

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what is known of each pair, in the suite's order, from the store."""
        for some in self._chunks():
            known = {index: self.key(index) for index in some if self._width[index]}
            stored = self._spill.facts_of(list(known.values()))
            edits = stored | self._spill.retired_of([k for k in known.values() if k not in stored])
            for index in some:
                yield self._outcome(index, edits.get(known.get(index, "")))

    def _outcome(self, index: int, edit: Edit | None) -> Outcome:
        pair = self.pair(index)
        failure = self.failures.get(index)
        if edit and self._scored[index]:
            record = self._store.get(self.verdict_key(index, edit.pixels))
            if record is not None:
                reply = read_reply(record.header, record.payload)
                seconds = float(record.header["seconds"])
                return Outcome(pair, self.parse(index, reply), edit, reply, seconds)
        state = failure.state if failure else "judge_failed" if edit else "edit_failed"
        failure = failure or Failure(state, "NotRun", "the run ended before this pair's turn", 0)
        return Outcome(pair, Verdict(state, message=failure.message), edit, failure=failure)


def write_reply(reply: Reply, *, seconds: float, provenance: str) -> tuple[dict[str, Json], bytes]:
    """Return a reply as a record's header and payload."""
    header = {
        "finish": reply.finish,
        "tokens": reply.tokens,
        "seconds": round(seconds, 6),
        "provenance": provenance,
    }
    return header, reply.text.encode("utf-8", "surrogatepass")


def read_reply(header: Mapping[str, Json], payload: bytes) -> Reply:
    """Return the reply that a record holds."""
    text = payload.decode("utf-8", "surrogatepass")
    return Reply(text, header["finish"], header["tokens"])
