"""What the schedule is worth: the same models, pairs and device, run in three orders.

    python benchmarks/schedule.py [--quick] [--limit N] [--only METHOD] [--set KEY=VALUE]

(a) pair by pair: edit one, score it, go on; (b) two phases for each category, the edits kept in
RAM; (c) editbench. Each runs in a process of its own over a store of its own. (a) and (b) are
sequential loops over the same backends and the same ResidencyManager, so what differs is the order
and what the engine does beside it. Swaps and bytes are counted by the ResidencyManager, not
computed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import common

from editbench import api
from editbench.assemble import assemble
from editbench.engine.events import Event, Swapped
from editbench.engine.protocols import EditRequest, Question
from editbench.engine.residency import ResidencyManager
from editbench.units import format_bytes

METHODS = ("pair by pair", "category by category", "editbench")


class Loop:
    """A sequential engine: one thread, no store."""

    def __init__(self, parts: Any) -> None:
        self.parts, self.ledger = parts, parts.ledger
        self.swaps, self.last = 0, ""
        self.residency = ResidencyManager(parts.device("edit"))
        self.models = {"edit": parts.editor, "score": parts.judge}
        self.residency.plan({role: model.footprint for role, model in self.models.items()})
        for role, model in self.models.items():
            model.load()
            self.residency.adopt(role, model.modules())

    def use(self, role: str) -> None:
        self.residency.acquire(role)
        self.swaps += self.last not in ("", role)
        self.last = role

    def edit(self, index: int) -> Any:
        self.use("edit")
        pair, seed = self.ledger.pair(index), self.ledger.seed(index)
        images = self.parts.load_images(pair)
        request = EditRequest(pair.id, images, pair.instruction, seed)
        return self.parts.editor.edit([request], stop=lambda: False)[0]

    def score(self, index: int, edit: Any) -> Any:
        self.use("score")
        pair, prompt = self.ledger.pair(index), self.ledger.prompt(index)
        images = (*self.parts.load_images(pair), edit)
        question = Question(pair.id, images, prompt.system, prompt.user, prompt.contract)
        reply = self.parts.judge.ask([question], stop=lambda: False)[0]
        return self.ledger.parse(index, reply).overall


def pair_by_pair(loop: Loop) -> list[Any]:
    return [loop.score(index, loop.edit(index)) for index in range(len(loop.ledger))]


def by_category(loop: Loop) -> list[Any]:
    scores: dict[int, Any] = {}
    for category in loop.ledger.categories:
        chosen = [i for i in range(len(loop.ledger)) if loop.ledger.category(i) == category]
        edits = {index: loop.edit(index) for index in chosen}
        scores |= {index: loop.score(index, edit) for index, edit in edits.items()}
    return [scores[index] for index in range(len(loop.ledger))]


def measure(method: str, settings: list[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        places = {"memory": {"folder": f"{folder}/store"}, "run": {"out": f"{folder}/runs"}}
        config = api.load_config(settings=settings, overrides=places)
        start = time.perf_counter()
        if method == "editbench":
            swaps, moved = 0, 0

            def count(event: Event) -> None:
                nonlocal swaps, moved
                if isinstance(event, Swapped):
                    swaps, moved = event.number, moved + event.bytes

            result = api.run(config, on_event=count)
            scores = [item["overall"] for item in result.items()]
        else:
            with assemble(config, emit=lambda event: None, lock=False) as assembly:
                loop = Loop(assembly.parts)
                run = pair_by_pair if method == "pair by pair" else by_category
                scores = run(loop)
                swaps, moved = loop.swaps, sum(move.bytes for move in loop.residency.moves)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "method": method,
        "swaps": swaps,
        "moved": moved,
        "seconds": seconds,
        "peak": peak,
        "scores": scores,
    }


def main() -> None:
    parser = common.parser(__doc__, quick="one pair of each category")
    parser.add_argument("--limit", type=int, metavar="N", help="pairs of each category (all)")
    parser.add_argument(
        "--only", action="append", choices=METHODS[:2], help="beside editbench; may be repeated"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the runs, such as editor.model=Qwen/Qwen-Image-Edit; may be repeated",
    )
    parser.add_argument("--method", choices=METHODS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    limit = 1 if asked.quick else asked.limit
    settings = asked.set + ([f"suite.limit={limit}"] if limit else [])
    if asked.method:
        print(json.dumps(measure(asked.method, settings)))
        return
    rows = []
    for method in (*(asked.only or METHODS[:2]), METHODS[2]):
        command = [sys.executable, __file__, "--method", method]
        command += [part for setting in settings for part in ("--set", setting)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    show(rows)
    path = common.write("schedule", {"rows": rows}, common.environment(), copy=asked.json)
    print(f"\nwritten to {path}")


def show(rows: list[dict[str, Any]]) -> None:
    best = rows[-1]

    def against(row: dict[str, Any], name: str, text: str) -> str:
        return text if row is best else f"{text} ({row[name] / max(1e-9, best[name]):.3g}x)"

    print(f"{len(best['scores'])} pairs; ratios to editbench in parentheses\n")
    lines = [
        [
            row["method"],
            against(row, "swaps", str(row["swaps"])),
            against(row, "moved", format_bytes(row["moved"])),
            against(row, "seconds", f"{row['seconds']:.1f}"),
            against(row, "peak", format_bytes(row["peak"])),
        ]
        for row in rows
    ]
    print(common.table(["", "swaps", "moved", "seconds", "peak RSS"], lines))
    same = all(row["scores"] == best["scores"] for row in rows)
    print("\nscores are " + ("the same in all" if same else "NOT the same"))


if __name__ == "__main__":
    main()
