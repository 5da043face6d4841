"""Looks at every pair of a suite once, before anything is spent on it, and lists all its faults."""

from __future__ import annotations

import hashlib
import json
import threading
from array import array
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from editbench.errors import SuiteError
from editbench.records import Picture
from editbench.suites.facts import Facts, FactsTable
from editbench.suites.images import decode
from editbench.suites.look import Look, Problem, Suite, look

if TYPE_CHECKING:
    from PIL.Image import Image

_THREADS = 2  #: images decoded at once
_AHEAD = 16  #: pairs looked at before the first of them is finished


@dataclass(frozen=True, slots=True)
class Check:
    """A suite that can be run."""

    facts: FactsTable
    categories: dict[str, int]  #: pairs by category, in the suite's order


def check(
    suite: Suite,
    *,
    digest: Callable[[Image], str],
    memo: MutableMapping[str, str],
    skip_bad: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Check:
    """Return the facts of every pair, or raise ``SuiteError`` with every problem of the suite.

    ``digest`` hashes decoded pixels, in any thread. ``memo`` keeps what is known of encoded
    images, so that none is decoded twice; its calls come one at a time, from several threads.
    ``progress`` receives pairs done and pairs in all. With ``skip_bad`` an unreadable image is
    no problem of the suite but a fact of its pair.
    """
    inspector = _Inspector(suite, digest, memo)
    facts = FactsTable()
    categories: dict[str, int] = {}
    problems: list[tuple[int, Problem]] = []
    ids = array("q")  # a hash of each: the ids themselves would take ten times as much
    only_images = True
    for index, (seen, found) in enumerate(inspector.visit()):
        pair = seen.pair
        faults = list(seen.faults)
        ids.append(hash(pair.id))
        only_images = only_images and not faults
        if isinstance(found, str) and not skip_bad:
            faults.append(found)
        problems += [(index, Problem(seen.place, fault)) for fault in faults]
        if pair.category:
            categories[pair.category] = categories.get(pair.category, 0) + 1
        facts.append(found)
        if progress:
            progress(index + 1, len(suite))
    if not facts:
        raise SuiteError(f"{suite.name} has no pairs")
    doubles = list(_doubles(suite, ids))
    problems = sorted(doubles + problems, key=itemgetter(0))
    only_images = only_images and not doubles
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise SuiteError(
            f"{suite.name} has {count}",
            hint="--skip-bad counts pairs with unreadable images as failures"
            if only_images
            else "",
            problems=[str(problem) for _, problem in problems],
        )
    return Check(facts, categories)


def _doubles(suite: Suite, ids: Sequence[int]) -> Iterator[tuple[int, Problem]]:
    """Yield index and problem of each pair whose id an earlier one has, given the ids' hashes."""
    for _, alike in groupby(sorted(range(len(ids)), key=ids.__getitem__), key=ids.__getitem__):
        first, *others = alike
        if not others:
            continue
        places: dict[str, str] = {}
        for index in (first, *others):
            seen = look(suite, index)
            name, taken = seen.pair.id, places.setdefault(seen.pair.id, seen.place)
            if name and taken != seen.place:
                yield index, Problem(seen.place, f"the id {name!r} is taken by {taken}")


class _Visit(NamedTuple):
    seen: Look
    found: Facts | str


class _Inspector:
    """Decodes ahead in a few threads; no image outlives the call that decodes it."""

    def __init__(
        self, suite: Suite, digest: Callable[[Image], str], memo: MutableMapping[str, str]
    ) -> None:
        self._suite = suite
        self._digest = digest
        self._memo = memo
        self._memo_lock = threading.Lock()

    def visit(self) -> Iterator[_Visit]:
        """Yield every pair in order."""
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="check")
        waiting: deque[Future[_Visit]] = deque()
        try:
            for index in range(len(self._suite)):
                waiting.append(pool.submit(self._inspect, index))
                if len(waiting) == _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _inspect(self, index: int) -> _Visit:
        seen = look(self._suite, index)
        pixels: list[str] = []
        sizes: list[tuple[int, int]] = []
        bad: list[str] = []
        for picture in seen.pair.sources:
            try:
                hashed, width, height = self._facts(picture)
            except SuiteError as exc:
                bad.append(str(exc))
                continue
            pixels.append(hashed)
            sizes.append((width, height))
        return _Visit(seen, "; ".join(bad) if bad else Facts(tuple(pixels), tuple(sizes)))

    def _facts(self, picture: Picture) -> tuple[str, int, int]:
        """Return hash, width and height of an image. Raises ``SuiteError``."""
        encoded = self._suite.read(picture)
        key = "s:" + hashlib.sha256(encoded).hexdigest()
        with self._memo_lock:
            known = self._memo.get(key)
        if known is not None:
            fact = json.loads(known)
            return str(fact["pixels"]), int(fact["width"]), int(fact["height"])
        image = decode(encoded)
        hashed = self._digest(image)
        fact = {"pixels": hashed, "width": image.width, "height": image.height}
        with self._memo_lock:
            self._memo[key] = json.dumps(fact)
        return hashed, image.width, image.height
