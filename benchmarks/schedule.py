"""What the schedule is worth: the same models, pairs and device, run in three orders.

    python benchmarks/schedule.py [--limit N] [--set KEY=VALUE ...]

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
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

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
        self.residency = ResidencyManager(parts.device)
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
        pair, facts = self.ledger.pair(index), self.ledger.facts[index]
        seed = self.ledger.seed(pair, facts)
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, help="pairs of each category")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--method", choices=METHODS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    settings = asked.set + ([f"suite.limit={asked.limit}"] if asked.limit else [])
    if asked.method:
        print(json.dumps(measure(asked.method, settings)))
        return
    rows = []
    for method in METHODS:
        command = [sys.executable, __file__, "--method", method]
        command += [part for setting in settings for part in ("--set", setting)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    show(rows)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1))


def show(rows: list[dict[str, Any]]) -> None:
    best = rows[-1]
    print(f"{len(best['scores'])} pairs; ratios to editbench in parentheses")
    print(f"{'':<22}{'swaps':>14}{'moved':>20}{'seconds':>18}{'peak RSS':>20}")
    for row in rows:
        cells = [f"{row['method']:<22}"]
        swaps = f"{row['swaps']} ({row['swaps'] / max(1, best['swaps']):.0f}x)"
        cells.append(f"{swaps:>14}")
        for name, text in (
            ("moved", format_bytes(row["moved"])),
            ("seconds", f"{row['seconds']:.1f}"),
            ("peak", format_bytes(row["peak"])),
        ):
            ratio = f"({row[name] / max(1e-9, best[name]):.2f}x)"
            cells.append(f"{text + ' ' + ratio:>{20 if name != 'seconds' else 18}}")
        print("".join(cells))
    same = all(row["scores"] == best["scores"] for row in rows)
    print("scores are " + ("the same in all three" if same else "NOT the same"))


if __name__ == "__main__":
    main()
