"""The same suite as a pipeline of Ray Data, the way its guide does batch inference.

Decoding is a ``map``; editor and judge are ``map_batches`` with an actor each. Edits go from one to
the other through its object store. ``durable`` has the editor write them to disk as well, a synced
file of raw pixels for each batch; they are neither checked nor read again, and nothing can resume.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from common import touch_memory
from noop import REPLY

from editbench.suites import verdicts
from editbench.suites.images import decode
from editbench.suites.rubrics import load_rubric


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


def run(suite: Path, folder: Path, *, batch: int, durable: bool) -> dict[str, float]:
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
    items = [
        {"id": r["id"], "instruction": r["instruction"], "path": str(suite.parent / r["source"])}
        for r in rows
    ]
    try:
        one = ray.data.ActorPoolStrategy(size=1)
        touch_memory()
        start = time.perf_counter()
        dataset = (
            ray.data.from_items(items)
            .map(load)
            .map_batches(
                Editor,
                fn_constructor_args=(folder if durable else None,),
                batch_size=batch,
                compute=one,
            )
            .map_batches(Judge, batch_size=batch, compute=one)
        )
        arrived = []
        with (folder / "scores.jsonl").open("w") as log:
            for row in dataset.iter_rows():
                arrived.append(time.perf_counter())
                log.write(json.dumps({"id": str(row["id"]), "score": float(row["score"])}) + "\n")
                log.flush()
        if len(arrived) != len(items):
            raise RuntimeError(f"{len(arrived)} rows of {len(items)}")
    finally:
        ray.shutdown()
    return {"flow": arrived[-1] - arrived[0], "whole": arrived[-1] - start}
