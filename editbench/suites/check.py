"""Looks at every pair of a suite once, before anything is spent on it, and lists all its faults."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, Protocol

from editbench.errors import SuiteError
from editbench.records import Facts, Pair, Picture
from editbench.suites.images import decode
from editbench.suites.look import Look, Problem, Suite, look

if TYPE_CHECKING:
    from PIL.Image import Image

_THREADS = 2  #: images decoded at once
_AHEAD = 3  #: calls given to each thread before the first of them is finished
_TOGETHER = 16  #: pairs in a call at most: handing one over costs as much as a known pair does
_QUICK = 0.001  #: seconds a pair, below which threads only get into each other's way


class Memory(Protocol):
    """What is known of encoded images, by name. Its calls come one at a time, from any thread."""

    def recall(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return what is known under these names."""

    def remember(self, name: str, text: str) -> None:
        """Keep a text under a name."""


def check(
    suite: Suite,
    *,
    digest: Callable[[Image], str],
    memo: Memory,
    skip_bad: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[Pair, Facts | str]]:
    """Yield every pair in order, with its facts or why its images cannot be read.

    After the last of them ``SuiteError`` is raised with every problem of the suite, if it has one;
    from the first problem on no pair is yielded. ``digest`` hashes decoded pixels, in any thread.
    No image that ``memo`` knows is decoded. ``progress`` receives pairs done and pairs in all. With
    ``skip_bad`` an unreadable image is no problem of the suite but a fact of its pair.
    """
    if not len(suite):
        raise SuiteError(f"{suite.name} has no pairs")
    inspector = _Inspector(suite, digest, memo)
    problems: list[tuple[int, Problem]] = []
    ids = array("q")  # a hash of each: the ids themselves would take ten times as much
    only_images = True
    for index, (seen, found) in enumerate(inspector.visit()):
        faults = list(seen.faults)
        ids.append(hash(seen.pair.id))
        only_images = only_images and not faults
        if isinstance(found, str) and not skip_bad:
            faults.append(found)
        problems += [(index, Problem(seen.place, fault)) for fault in faults]
        if not problems:
            yield seen.pair, found
        if progress:
            progress(index + 1, len(suite))
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

    def __init__(self, suite: Suite, digest: Callable[[Image], str], memo: Memory) -> None:
        self._suite = suite
        self._digest = digest
        self._memo = memo
        self._memo_lock = threading.Lock()

    def visit(self) -> Iterator[_Visit]:
        """Yield every pair in order."""
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="check")
        waiting: deque[Future[tuple[list[_Visit], bool]]] = deque()
        count = len(self._suite)
        # A small suite is spread over the threads.
        some = min(_TOGETHER, max(1, count // (_THREADS * _TOGETHER)))
        quick = True
        try:
            for start in range(0, count, some):
                indices = range(start, min(start + some, count))
                if quick and not waiting:
                    visits, quick = self._timed(indices)
                    yield from visits
                    continue
                waiting.append(pool.submit(self._timed, indices))
                while waiting and (quick or len(waiting) == _THREADS * _AHEAD):
                    visits, quick = waiting.popleft().result()
                    yield from visits
            while waiting:
                yield from waiting.popleft().result()[0]
        finally:
            pool.shutdown(cancel_futures=True)

    def _timed(self, indices: range) -> tuple[list[_Visit], bool]:
        """Return what is found, and whether other threads would only have been in the way."""
        start = time.perf_counter()
        visits = self._inspect(indices)
        return visits, time.perf_counter() - start < _QUICK * len(indices)

    def _inspect(self, indices: range) -> list[_Visit]:
        looks = [look(self._suite, index) for index in indices]
        names: dict[Picture, str] = {}
        for picture in {picture for seen in looks for picture in seen.pair.sources}:
            try:
                names[picture] = _name(self._suite.read(picture))
            except SuiteError:
                names[picture] = ""  # it is read again, to say so
        with self._memo_lock:
            known = self._memo.recall(list(names.values()))
        return [
            _Visit(seen, self._facts(seen.pair.sources, lambda one: known.get(names[one])))
            for seen in looks
        ]

    def _facts(
        self, pictures: Sequence[Picture], known: Callable[[Picture], str | None]
    ) -> Facts | str:
        """Return the facts of a pair, or why its images cannot be read."""
        pixels: list[str] = []
        sizes: list[tuple[int, int]] = []
        bad: list[str] = []
        for picture in pictures:
            try:
                fact = json.loads(known(picture) or self._decode(picture))
            except SuiteError as exc:
                bad.append(str(exc))
                continue
            pixels.append(str(fact["pixels"]))
            sizes.append((int(fact["width"]), int(fact["height"])))
        return "; ".join(bad) if bad else Facts(tuple(pixels), tuple(sizes))

    def _decode(self, picture: Picture) -> str:
        """Return what is to be known of an image, and remember it. Raises ``SuiteError``."""
        encoded = self._suite.read(picture)  # again, so that few are in memory at a time
        image = decode(encoded)
        fact = {"pixels": self._digest(image), "width": image.width, "height": image.height}
        text = json.dumps(fact)
        with self._memo_lock:
            self._memo.remember(_name(encoded), text)
        return text


def _name(encoded: bytes) -> str:
    return "s:" + hashlib.sha256(encoded).hexdigest()
