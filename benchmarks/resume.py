"""How long a finished run takes to find out that it is finished.

    python benchmarks/resume.py [--quick] [--only plan|whole] [--pairs N] [--rounds N]

Makes a run of 100,000 pairs of 64x64 with models that do nothing, then asks for it again: until it
says that there is nothing to do, and until its results are written anew. The limit is to read every
pair of the suite and every key of the store, and nothing else: no pictures, no hashes, no look-ups.
Each has a process of its own; imports do not count.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import common
from pictures import write_suite

from editbench import api
from editbench.engine.events import Event, Planned
from editbench.engine.store import Store
from editbench.suites.open import open_suite

HERE = Path(__file__).parent
PAIRS = 100_000
FIGURES = {"plan": "until it says so", "whole": "until its results are written"}


def reading(folder: Path) -> dict[str, float]:
    """Read every pair and every key; return seconds."""
    start = time.perf_counter()
    suite = open_suite(str(folder / "suite" / "pairs.jsonl"))
    for index in range(len(suite)):
        suite[index]
    with Store.open(folder / "store", read_only=True) as store:
        keys = sum(1 for _ in store.records(""))
    if keys < 2 * len(suite):
        raise RuntimeError(f"{keys} records are too few for {len(suite)} pairs")
    return {"seconds": time.perf_counter() - start}


def run(folder: Path) -> dict[str, float]:
    """Make the run, or ask for it again; return seconds until the plan and until the end."""
    import torch  # noqa: F401  # as imports do not count

    noop = HERE / "noop.py"
    found: dict[str, float] = {}
    start = time.perf_counter()

    def watch(event: Event) -> None:
        if isinstance(event, Planned):
            found["plan"] = time.perf_counter() - start
            found["swaps"] = event.swaps
            found["finished"] = event.placement == "nothing to do"

    overrides: dict[str, Any] = {
        "suite": str(folder / "suite" / "pairs.jsonl"),
        "editor": {"use": f"{noop}:NoopEditor", "batch": 16},
        "judge": {"use": f"{noop}:NoopJudge", "batch": 16},
        "memory": {"folder": str(folder / "store"), "host": "256MB", "codec": "raw"},
        "run": {"out": str(folder / "runs")},
    }
    api.run(api.load_config(overrides=overrides), on_event=watch)
    return found | {"whole": time.perf_counter() - start}


def resume(folder: Path) -> dict[str, float]:
    """Ask for the finished run again."""
    found = run(folder)
    if not found["finished"]:
        raise RuntimeError("there was something left to do")
    return found


WAYS: dict[str, Callable[[Path], dict[str, float]]] = {
    "reading": reading,
    "make": run,
    "resume": resume,
}


def in_a_process(way: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", way, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = common.parser(__doc__, quick="a tenth of the pairs")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"of the suite ({PAIRS:,})")
    parser.add_argument("--rounds", type=int, default=3, help="to measure, after a warm-up (3)")
    parser.add_argument("--only", action="append", choices=FIGURES, help="may be repeated")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        way, folder = asked.one
        print(json.dumps(WAYS[way](Path(folder))))
        return
    pairs = asked.pairs // 10 if asked.quick else asked.pairs
    environ = common.environment()
    with tempfile.TemporaryDirectory(dir=common.work_folder()) as name:
        place = Path(name)
        write_suite(place / "suite", pairs=pairs, width=64, height=64)
        in_a_process("make", place)
        ways = {way: partial(in_a_process, way, place) for way in ("reading", "resume")}
        found = common.interleaved(ways, rounds=asked.rounds)
    limit = found["reading"]["seconds"]
    rows: list[tuple[object, ...]] = [("reading", f"{common.spread(limit).median:.3g}", 1)]
    for figure in asked.only or FIGURES:
        seconds = found["resume"][figure]
        ratio = common.ratio(seconds, limit)
        rows.append((FIGURES[figure], f"{common.spread(seconds).median:.3g}", ratio))
    print(f"\n{pairs:,} pairs of 64x64, all finished: seconds, and times the reading\n")
    print(common.table(("", "seconds", "times the reading"), rows))
    print(f"\nwritten to {common.write('resume', found, environ, copy=asked.json)}")


if __name__ == "__main__":
    main()
