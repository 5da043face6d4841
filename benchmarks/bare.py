"""The work of a run and nothing else: the engine's peers, written by hand.

Both phases call the same decoder, hashes, codec, store and parser as editbench does, once for each
pair. There is no plan, scheduler, ledger or event, and no bound on memory: with two threads it is
the ceiling for what an engine on this machine can reach, with one the loop that one would write.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from noop import NoopEditor, NoopJudge, NoopSettings

from editbench.assemble import load_images
from editbench.engine import codec, keys
from editbench.engine.protocols import EditRequest, Question
from editbench.engine.store import Store
from editbench.records import Pair, Picture
from editbench.suites import verdicts
from editbench.suites.images import decode
from editbench.suites.open import open_suite
from editbench.suites.rubrics import load_rubric


class Bare:
    """Edits and scores a suite with plain threads, durably."""

    def __init__(self, suite: Path, folder: Path, *, used: Any, group: int, threads: int) -> None:
        """Take ``group`` pairs a step; a group of several shares one commit."""
        self.suite = open_suite(str(suite))
        self.count = len(self.suite)
        self.codec = used
        self.group = group
        self.threads = threads
        self.store = Store.open(folder, ballast=0)
        self.editor = NoopEditor(NoopSettings())
        self.judge = NoopJudge(NoopSettings())
        self.rubric = load_rubric("default")
        self.editor_digest = keys.digest("model", dict(self.editor.identity))
        self.judge_digest = keys.digest("model", dict(self.judge.identity))
        # As editbench knows them after it has checked the suite.
        known = lru_cache(None)(self._pixels)
        self.sources = [known(self.suite[index].sources) for index in range(self.count)]
        self.keys = [""] * self.count
        log = folder / f"log-{os.getpid()}.jsonl"
        self.log: IO[str] = log.open("w", encoding="utf-8")
        self.writing = threading.Lock()

    def close(self) -> None:
        self.log.close()
        self.store.close()

    def edit(self) -> float:
        """Edit every pair; return seconds."""
        return self._all(self.edit_group)

    def score(self) -> float:
        """Score every edit; return seconds."""
        return self._all(self.score_group)

    def _all(self, work: Callable[[Sequence[int]], None]) -> float:
        groups = iter(
            range(first, min(first + self.group, self.count))
            for first in range(0, self.count, self.group)
        )
        taking = threading.Lock()
        problems: list[BaseException] = []

        def serve() -> None:
            try:
                while True:
                    with taking:
                        group = next(groups, None)
                    if group is None:
                        return
                    work(group)
            except BaseException as exc:
                problems.append(exc)

        start = time.perf_counter()
        threads = [threading.Thread(target=serve) for _ in range(self.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if problems:
            raise problems[0]
        return time.perf_counter() - start

    def edit_group(self, group: Sequence[int]) -> None:
        """Edit some pairs, by their places in the suite, and note their keys."""
        pairs = [self.suite[index] for index in group]
        requests = []
        for index, pair in zip(group, pairs, strict=True):
            sources = self.sources[index]
            seed = keys.seed_of(sources, pair.instruction, base=0)
            self.keys[index] = keys.edit_key(
                sources, pair.instruction, editor=self.editor_digest, seed=seed
            )
            images = load_images(self.suite, pair)
            requests.append(EditRequest(pair.id, images, pair.instruction, seed))
        rows = []
        for index, image in zip(group, self.editor.edit(requests, stop=None), strict=True):
            encoded = codec.encode(image, self.codec)
            header = {
                "pixels": keys.pixel_hash(image, codec.plain_pixels(encoded)),
                "width": image.width,
                "height": image.height,
                "mode": image.mode,
                "codec": encoded.codec,
                "bytes": len(encoded.payload),
                "seconds": 0.0,
            }
            rows.append((self.keys[index], header, encoded.payload))
        self._add(rows, vital=False)
        for pair, (_, header, _) in zip(pairs, rows, strict=True):
            self._record("edit", pair, width=header["width"], height=header["height"])

    def score_group(self, group: Sequence[int]) -> None:
        """Score the edits of some pairs whose keys are known."""
        pairs = [self.suite[index] for index in group]
        questions, asked = [], []
        for index, pair in zip(group, pairs, strict=True):
            sources = self.sources[index]
            record = self.store.get(self.keys[index])
            if record is None:
                raise RuntimeError(f"{pair.id} was not edited")
            header = record.header
            size = header["width"], header["height"]
            encoded = codec.Encoded(header["codec"], header["mode"], *size, record.payload)
            edit = codec.decode(encoded)
            pixels = keys.pixel_hash(edit, codec.plain_pixels(encoded))
            if pixels != header["pixels"]:
                raise RuntimeError(f"{pair.id} came back with other pixels")
            prompt = self.rubric.prompt(pair.category, pair.instruction, pair.description)
            key = keys.verdict_key(
                pixels,
                sources,
                judge=self.judge_digest,
                system=prompt.system,
                user=prompt.user,
                contract=keys.digest("contract", prompt.contract),
            )
            images = (*load_images(self.suite, pair), edit)
            questions.append(Question(pair.id, images, *prompt))
            asked.append((pair, key, prompt.contract))
        rows, scores = [], []
        replies = self.judge.ask(questions, stop=None)
        for (pair, key, contract), reply in zip(asked, replies, strict=True):
            header = {"finish": reply.finish, "tokens": reply.tokens, "seconds": 0.0}
            rows.append((key, header, reply.text.encode()))
            overall = self.rubric.overall(pair.category)
            scores.append(verdicts.parse(reply, contract, overall=overall).overall)
        self._add(rows, vital=True)
        for pair, score in zip(pairs, scores, strict=True):
            self._record("score", pair, overall=score)

    def _add(self, rows: list[Any], *, vital: bool) -> None:
        if len(rows) == 1:
            self.store.add(*rows[0], vital=vital)
        else:
            self.store.add_many(rows, vital=vital)

    def _pixels(self, sources: tuple[Picture, ...]) -> list[str]:
        return [keys.pixel_hash(decode(self.suite.read(source))) for source in sources]

    def _record(self, kind: str, pair: Pair, **facts: object) -> None:
        line = {"event": kind, "time": time.time(), "pair": pair.id, "category": pair.category}
        with self.writing:
            self.log.write(json.dumps(line | facts, ensure_ascii=False) + "\n")
            self.log.flush()
