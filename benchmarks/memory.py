"""Whether memory stays bounded: peak RSS over a run, against its budget.

    python benchmarks/memory.py [--quick] [--only SIZE]

Runs 300 and 3,000 edits of 4 Mpx with ``memory.host = 256MB``, and 1,000 and 100,000 of 64x64, with
models that do nothing. Each run has a process of its own, which first makes a small run so that
imports, threads and caches are there; what counts is the peak above that. The limit is the budget
plus a tenth of what the imports take.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import common
from pictures import write_suite

from editbench import api
from editbench.units import format_bytes, format_seconds, parse_bytes

HERE = Path(__file__).parent
BUDGET = "256MB"
RUNS = {"4 Mpx": (2000, (300, 3000)), "64x64": (64, (1000, 100_000))}  #: side, and pairs


def status(name: str) -> int:
    """Return a figure of /proc/self/status in bytes."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def run(folder: Path, suite: Path, *, batch: int, codec: str) -> None:
    noop = HERE / "noop.py"
    api.run(
        api.load_config(
            overrides={
                "suite": str(suite),
                "editor": {"use": f"{noop}:NoopEditor", "batch": batch},
                "judge": {"use": f"{noop}:NoopJudge", "batch": batch},
                "memory": {"folder": str(folder / "store"), "host": BUDGET, "codec": codec},
                "run": {"out": str(folder / "runs")},
            }
        )
    )


def measure(pairs: int, side: int, codec: str) -> dict[str, Any]:
    """Make the runs and return the figures, in bytes and seconds."""
    batch = 16 if side <= 256 else 1
    with tempfile.TemporaryDirectory(dir=common.work_folder()) as name:
        folder = Path(name)
        small = write_suite(folder / "small", pairs=4, width=side, height=side)
        large = write_suite(folder / "large", pairs=pairs, width=side, height=side)
        run(folder / "warm", small, batch=batch, codec=codec)
        before = status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        start = time.perf_counter()
        run(folder / "cold", large, batch=batch, codec=codec)
        seconds = time.perf_counter() - start
        peak = status("VmHWM") - before
    allowed = parse_bytes(BUDGET) + before // 10
    return {
        "pairs": pairs,
        "side": side,
        "imports": before,
        "peak": peak,
        "allowed": allowed,
        "seconds": seconds,
    }


def main() -> None:
    parser = common.parser(__doc__, quick="a tenth of the pairs")
    parser.add_argument("--only", action="append", choices=RUNS, help="may be repeated")
    parser.add_argument("--codec", default="auto", help="auto, webp, jxl or raw")
    parser.add_argument("--one", nargs=2, type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(*asked.one, asked.codec)))
        return
    rows = []
    print(f"memory.host = {BUDGET}; peak RSS above what the imports take")
    print(f"{'pairs':>9}  {'size':>11}  {'imports':>9}  {'peak':>9}  {'allowed':>9}  {'time':>7}")
    runs = [
        (pairs, side)
        for side, counts in map(RUNS.__getitem__, asked.only or RUNS)
        for pairs in counts
    ]
    for pairs, side in runs:
        count = pairs // 10 if asked.quick else pairs
        command = [sys.executable, __file__, "--codec", asked.codec, "--one", str(count), str(side)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        row = json.loads(done.stdout.splitlines()[-1])
        rows.append(row)
        sizes = [format_bytes(row[name]) for name in ("imports", "peak", "allowed")]
        cells = [f"{count:>9,}", f"{side:>5}x{side:<5}", *(f"{size:>9}" for size in sizes)]
        within = "" if row["peak"] <= row["allowed"] else "  OVER"
        print("  ".join(cells), f" {format_seconds(row['seconds']):>7}{within}", flush=True)
    path = common.write("memory", {"rows": rows}, common.environment(), copy=asked.json)
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    main()
