"""The same suite as a pipeline of Ray Data, the way its guide does batch inference.

Editor and judge are ``map_batches`` with an actor each, in one of three ways. ``same``: the actors
do the work of ``bare.py``, so that only what carries the pairs along differs. ``stored``: decoding
is a ``map``, images go from one to the other through Ray's object store, and the editor also writes
a synced file of raw pixels for each batch; nothing is hashed, read again or checked, and scores are
not synced. ``not stored``: without those files. Nothing but ``same`` could resume.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Literal

from bare import Bare
from common import touch_memory
from noop import REPLY

from editbench.suites import verdicts
from editbench.suites.images import decode
from editbench.suites.rubrics import load_rubric

Work = Literal["same", "stored", "not stored"]


def load(row: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    return row | {"image": np.asarray(decode(Path(row["path"]).read_bytes()))}


class Editor:
    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        if self.folder:
            with (self.folder / f"{batch['id'][0]}.raw").open("wb") as file:
                for edit in batch["image"]:
                    file.write(edit.data)
                file.flush()
                os.fsync(file.fileno())
        return batch | {"edit": batch["image"]}


class Judge:
    def __init__(self) -> None:
        self.rubric = load_rubric("default")

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        scores = []
        for instruction in batch["instruction"]:
            prompt = self.rubric.prompt("add", str(instruction), "")
            overall = self.rubric.overall("add")
            verdict = verdicts.parse(REPLY, prompt.contract, overall=overall)
            scores.append(verdict.overall)
        return {"id": batch["id"], "score": scores}


class SameEditor:
    def __init__(self, suite: Path, folder: Path, group: int) -> None:
        self.bare = Bare(suite, folder / "store", used="raw", group=group, threads=1)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        group = batch["index"].tolist()
        self.bare.edit_group(group)
        return {"index": batch["index"], "key": [self.bare.keys[index] for index in group]}


class SameJudge(SameEditor):
    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        group = batch["index"].tolist()
        for index, key in zip(group, batch["key"], strict=True):
            self.bare.keys[index] = str(key)
        self.bare.score_group(group)
        return {"index": batch["index"]}


def run(suite: Path, folder: Path, *, batch: int, work: Work) -> dict[str, float]:
    """Return seconds: from the first row to the last, and from the start with Ray running."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    import logging

    import ray.data  # sets up its logging, so it comes before the level

    ray.init(
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=400 * 2**20,
        runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parent)}},
    )
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = [json.loads(line) for line in suite.read_text().splitlines()]
    items: list[dict[str, Any]] = [
        {"id": r["id"], "instruction": r["instruction"], "path": str(suite.parent / r["source"])}
        for r in rows
    ]
    editor: tuple[type, tuple[Any, ...]] = Editor, (folder if work == "stored" else None,)
    judge: tuple[type, tuple[Any, ...]] = Judge, ()
    if work == "same":
        items = [{"index": index} for index in range(len(rows))]
        args = suite, folder, batch
        editor, judge = (SameEditor, args), (SameJudge, args)
    try:
        one = ray.data.ActorPoolStrategy(size=1)
        touch_memory()
        start = time.perf_counter()
        dataset = ray.data.from_items(items)
        if work != "same":
            dataset = dataset.map(load)
        for actor, arguments in (editor, judge):
            dataset = dataset.map_batches(
                actor, fn_constructor_args=arguments, batch_size=batch, compute=one
            )
        arrived = []
        with (folder / "scores.jsonl").open("w") as log:
            for row in dataset.iter_rows():
                arrived.append(time.perf_counter())
                if work != "same":  # its judge has written that already
                    line = {"id": str(row["id"]), "score": float(row["score"])}
                    log.write(json.dumps(line) + "\n")
                    log.flush()
        if len(arrived) != len(items):
            raise RuntimeError(f"{len(arrived)} rows of {len(items)}")
    finally:
        ray.shutdown()
    return {"flow": arrived[-1] - arrived[0], "whole": arrived[-1] - start}
