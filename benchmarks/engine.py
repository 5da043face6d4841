"""What the engine itself costs: whole runs with models that do nothing.

    python benchmarks/engine.py [--quick] [--only throughput|busy|memory|ray] [--rounds N]

Throughput of the edit phase, the score phase and both, durable, against two plain threads that do
the same work without an engine (the ceiling), a sequential loop, and Ray Data; the share of the
time for which a device is busy, with steps of known length; peak memory against ``memory.host``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import common
from bare import Bare
from pictures import write_suite

from editbench import api
from editbench.engine.events import Event, PhaseEnded, PhaseStarted

MODELS = Path(__file__).with_name("noop.py")
WEIGHTS = 4096  #: bytes of each model where only one is to fit
HOST = "64MB"  #: of decoded images; less than a round's edits, so that scores read the disk


class Size(NamedTuple):
    """A kind of pair, and how many of them make a round."""

    name: str
    width: int
    height: int
    batch: int
    pairs: int


SMALL = Size("64x64", 64, 64, 16, 1600)
LARGE = Size("1 Mpx", 1024, 1024, 1, 48)


def editbench(
    suite: Path,
    folder: Path,
    *,
    codec: str,
    batch: int,
    seconds: float = 0.0,
    apart: bool = True,
    host: str = HOST,
) -> dict[str, float]:
    """Make one run and return its seconds: each phase, both, and the writing of results.

    ``apart`` has the models take turns on a device; otherwise both phases go on at once.
    """
    model = {"batch": batch, "seconds": seconds, "weights": WEIGHTS if apart else 0}
    memory: dict[str, Any] = {"folder": str(folder / "store"), "host": host, "codec": codec}
    if apart:
        memory |= {"device": "cpu", "device_budget": f"{WEIGHTS + 512}B"}
    settings = {
        "suite": {"path": str(suite)},
        "editor": {"use": f"{MODELS}:NoopEditor"} | model,
        "judge": {"use": f"{MODELS}:NoopJudge"} | model,
        "memory": memory,
        "run": {"out": str(folder / "runs")},
    }
    found: dict[str, float] = {}
    began = ended = 0.0

    def watch(event: Event) -> None:
        nonlocal began, ended
        if isinstance(event, PhaseStarted):
            began = began or time.perf_counter()
        elif isinstance(event, PhaseEnded):
            ended = time.perf_counter()
            found[event.phase] = event.seconds

    result = api.run(api.load_config(overrides=settings), on_event=watch)
    found |= {"both": ended - began, "results": time.perf_counter() - ended}
    if result.summary["overall"]["n"] != result.summary["overall"]["pairs"]:
        raise RuntimeError("the run has failures, so its figures mean nothing")
    return found


def bare(suite: Path, folder: Path, *, codec: str, batch: int, threads: int) -> dict[str, float]:
    """Do the same without an engine and return the seconds of each phase and both."""
    made = Bare(suite, folder / "store", used=codec, group=batch, threads=threads)
    try:
        edit, score = made.edit(), made.score()
    finally:
        made.close()
    return {"edit": edit, "score": score, "both": edit + score}


def throughput(sizes: list[Size], codecs: list[str], *, rounds: int) -> dict[str, Any]:
    """Compare seconds a pair, phases apart."""
    metrics: dict[str, Any] = {}
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as place:
            suite = write_suite(
                Path(place) / "suite", pairs=size.pairs, width=size.width, height=size.height
            )
            for codec in codecs:
                found = common.interleaved(_variants(suite, size, codec), rounds=rounds)
                per_pair = {
                    who: {
                        phase: [value / size.pairs * 1e3 for value in values]
                        for phase, values in figures.items()
                    }
                    for who, figures in found.items()
                }
                metrics[f"{size.name} {codec}"] = per_pair
                for phase in ("edit", "score", "both"):
                    rows.append(_row(size, codec, phase, per_pair))
    print("\nMilliseconds a pair, median [low quartiles high]; shares are of the throughput,")
    print("round by round; over is editbench less the ceiling.\n")
    head = ("size, codec", "phase", "editbench", "ceiling", "loop")
    print(common.table((*head, "of ceiling", "of loop", "over"), rows))
    return metrics


def _variants(suite: Path, size: Size, codec: str) -> dict[str, Callable[[], Mapping[str, float]]]:
    def fresh(work: Callable[..., Mapping[str, float]], **how: Any) -> Any:
        def measure() -> Mapping[str, float]:
            with tempfile.TemporaryDirectory() as folder:
                return work(suite, Path(folder), codec=codec, **how)

        return measure

    return {
        "editbench": fresh(editbench, batch=size.batch),
        "ceiling": fresh(bare, batch=size.batch, threads=2),
        "loop": fresh(bare, batch=1, threads=1),
    }


def _row(size: Size, codec: str, phase: str, found: Mapping[str, Any]) -> list[str]:
    ours, ceiling, loop = (found[who][phase] for who in ("editbench", "ceiling", "loop"))
    over = common.spread([a - b for a, b in zip(ours, ceiling, strict=True)])
    return [
        f"{size.name} {codec}",
        phase,
        *(f"{common.spread(values).median:.3g}" for values in (ours, ceiling, loop)),
        str(common.ratio(ceiling, ours)),
        str(common.ratio(loop, ours)),
        f"{over.median:.2g}",
    ]


def busy(size: Size, *, steps: list[float], rounds: int, quick: bool) -> dict[str, Any]:
    """Measure the share of the time for which the device works, with steps of known length."""
    metrics, rows = {}, []
    with tempfile.TemporaryDirectory() as place:
        for step in steps:
            pairs = int(min(200, max(12, (4 if quick else 10) / step)))
            suite = write_suite(
                Path(place) / f"{step}", pairs=pairs, width=size.width, height=size.height
            )
            found = common.interleaved(
                {"editbench": lambda suite=suite, step=step: _busy(suite, step)},  # type: ignore[misc]
                rounds=rounds,
            )["editbench"]
            metrics[f"{step * 1e3:.0f} ms"] = found
            rows.append(
                [f"{step * 1e3:.0f} ms", pairs]
                + [str(common.spread(found[name])) for name in sorted(found)]
            )
    print("\nShare of the time for which the device works; inner: from the first step's begin to")
    print("the last one's end, whole: from the phase's begin to its end.\n")
    print(common.table(("step", "pairs", *sorted(found)), rows))
    return metrics


def _busy(suite: Path, step: float) -> dict[str, float]:
    command = [sys.executable, __file__, "--busy", str(suite), str(step)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure_busy(suite: Path, step: float) -> dict[str, float]:
    """Run with steps of this length, and say for which share of the time the device worked."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = editbench(suite, Path(folder), codec="webp", batch=1, seconds=step)
    # The module that the run loaded by its file's name.
    steps = sys.modules["editbench_file_noop"].NoopEditor.steps
    half = len(steps) // 2
    found = {}
    for phase, part in (("edit", steps[:half]), ("score", steps[half:])):
        # Not the measured lengths: waiting for the interpreter's lock at a step's end is idleness.
        worked = step * len(part)
        found[f"{phase} inner"] = worked / (part[-1][1] - part[0][0])
        found[f"{phase} whole"] = worked / seconds[phase]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer pairs and rounds")
    parser.add_argument("--only", choices=("throughput", "busy"))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--codec", action="append", choices=("webp", "jxl", "raw"))
    parser.add_argument("--size", action="append", choices=(SMALL.name, LARGE.name))
    parser.add_argument("--busy", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.busy:
        print(json.dumps(measure_busy(Path(asked.busy[0]), float(asked.busy[1]))))
        return
    rounds = asked.rounds or (2 if asked.quick else 7)
    sizes = [size for size in (SMALL, LARGE) if not asked.size or size.name in asked.size]
    if asked.quick:
        sizes = [size._replace(pairs=size.pairs // 2) for size in sizes]
    codecs = asked.codec or ["webp", *["jxl"][: _has("pillow_jxl")], "raw"]
    environ, metrics = common.environment(), {}
    if asked.only in (None, "throughput"):
        metrics["throughput"] = throughput(sizes, codecs, rounds=rounds)
    if asked.only in (None, "busy"):
        steps = [0.05, 0.2] if asked.quick else [0.05, 0.2, 1.0]
        metrics["busy"] = busy(LARGE, steps=steps, rounds=min(rounds, 3), quick=asked.quick)
    print(f"\nwritten to {common.write('engine', metrics, environ)}")


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


if __name__ == "__main__":
    main()
