"""What the engine itself costs: whole runs with models that do nothing.

    python benchmarks/engine.py [--quick] [--only throughput|busy|ray] [--rounds N]

Throughput of the edit phase, the score phase and both, durable, against two plain threads that do
the same work without an engine (the ceiling), a sequential loop, and Ray Data; the share of the
time for which a device is busy, with steps of known length. Memory: see ``memory.py``.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import common
from pictures import write_suite
from ways import in_a_process

PARTS = ("throughput", "busy", "ray")
CODECS = ("webp", "jxl", "raw")


class Size(NamedTuple):
    """A kind of pair, and how many of them make a round."""

    name: str
    side: int
    batch: int
    pairs: int
    host: str  #: of decoded images; a quarter holds edits, too few for scores to find them there

    def suite(self, place: Path) -> Path:
        return write_suite(place / "suite", pairs=self.pairs, width=self.side, height=self.side)


SMALL = Size("64x64", 64, 16, 6400, "48MB")
LARGE = Size("1 Mpx", 1024, 1, 300, "256MB")  # fewer and a round is mostly its begin and end


def throughput(size: Size, suite: Path, codecs: list[str], *, rounds: int) -> dict[str, Any]:
    """Compare milliseconds a pair, phases apart."""
    metrics: dict[str, Any] = {}
    rows: list[list[str]] = []
    for codec in codecs:
        how = {"codec": codec, "batch": size.batch}
        found = per_pair(
            size,
            {
                "editbench": partial(in_a_process, "editbench", suite, **how, host=size.host),
                "ceiling": partial(in_a_process, "bare", suite, **how, threads=2),
                "loop": partial(in_a_process, "bare", suite, **how | {"batch": 1}, threads=1),
            },
            rounds=rounds,
        )
        metrics[codec] = found
        rows += [_row(codec, phase, found) for phase in ("edit", "score", "both")]
    print(f"\n{size.name}: milliseconds a pair, medians; then shares of their throughput, round by")
    print("round: median [lowest, quartiles, highest]; over: editbench less the ceiling, ms.\n")
    head = ("codec", "phase", "editbench", "ceiling", "loop", "of ceiling", "of loop", "over")
    print(common.table(head, rows), flush=True)
    return metrics


def per_pair(
    size: Size, ways: Mapping[str, Callable[[], Mapping[str, float]]], *, rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Return milliseconds a pair of every way and phase, round by round."""
    found = common.interleaved(ways, rounds=rounds)
    return {
        way: {
            phase: [value / size.pairs * 1e3 for value in values] for phase, values in each.items()
        }
        for way, each in found.items()
    }


def _row(codec: str, phase: str, found: Mapping[str, Any]) -> list[str]:
    ours, ceiling, loop = (found[way][phase] for way in ("editbench", "ceiling", "loop"))
    over = common.spread([a - b for a, b in zip(ours, ceiling, strict=True)])
    return [
        codec,
        phase,
        *(f"{common.spread(values).median:.3g}" for values in (ours, ceiling, loop)),
        str(common.ratio(ceiling, ours)),
        str(common.ratio(loop, ours)),
        f"{over.median:.2g}",
    ]


def busy(
    place: Path, codecs: list[str], *, steps: list[float], rounds: int, quick: bool
) -> dict[str, Any]:
    """Measure the share of the time for which the device works, with steps of known length."""
    metrics, rows, names = {}, [], []
    for step in steps:
        pairs = int(min(200, max(12, (4 if quick else 10) / step)))
        suite = LARGE._replace(pairs=pairs).suite(place / f"{step}")
        ways = {
            codec: partial(in_a_process, "busy", suite, codec=codec, seconds=step)
            for codec in codecs
        }
        for codec, found in common.interleaved(ways, rounds=rounds).items():
            metrics[f"{step * 1e3:.0f} ms {codec}"] = found
            names = sorted(found)
            spreads = (str(common.spread(found[name])) for name in names)
            rows.append([f"{step * 1e3:.0f} ms", codec, pairs, *spreads])
    print("\nShare of the time for which the device works. inner: from the first step's begin to")
    print("the last one's end; whole: the whole phase. lag: of the event loop, 99th percentile.\n")
    print(common.table(("step", "codec", "pairs", *names), rows), flush=True)
    return metrics


def ray(size: Size, suite: Path, *, rounds: int) -> dict[str, Any]:
    """Compare with Ray Data at the same work, and at less: see ``ray_data.py``."""
    works = "same", "stored", "not stored"
    theirs = {
        work: partial(in_a_process, "ray_data", suite, batch=size.batch, work=work)
        for work in works
    }
    ours = partial(in_a_process, "editbench", suite, codec="raw", batch=size.batch, apart=False)
    found = per_pair(size, {"editbench": ours} | theirs, rounds=rounds)
    both = found["editbench"]["both"]
    rows = []
    for work in works:
        flow, whole = found[work]["flow"], found[work]["whole"]
        medians = [f"{common.spread(values).median:.3g}" for values in (both, flow, whole)]
        ratios = [str(common.ratio(values, both)) for values in (flow, whole)]
        rows.append([work, *medians, *ratios])
    print(f"\n{size.name}: milliseconds a pair, both phases at once.\n")
    head = ("Ray's work", "editbench", "first row to last", "whole", "times as fast", "than whole")
    print(common.table(head, rows), flush=True)
    return found


def main() -> None:
    parser = common.parser(__doc__, quick="fewer pairs, two rounds")
    parser.add_argument("--rounds", type=int, help="to measure, after a warm-up (7)")
    parser.add_argument("--only", action="append", choices=PARTS, help="may be repeated")
    parser.add_argument("--codec", action="append", choices=CODECS, help="likewise")
    parser.add_argument(
        "--size", action="append", choices=(SMALL.name, LARGE.name), help="likewise"
    )
    asked = parser.parse_args()
    parts = asked.only or PARTS
    rounds = asked.rounds or (2 if asked.quick else 7)
    sizes = [size for size in (SMALL, LARGE) if not asked.size or size.name in asked.size]
    if asked.quick:
        sizes = [size._replace(pairs=size.pairs // 2) for size in sizes]
    codecs = asked.codec or ["webp", *["jxl"][: has("pillow_jxl")], "raw"]
    has_ray = has("ray") and has("pyarrow")  # it starts without, and then cannot read a row
    environ, metrics = common.environment(), dict[str, Any]()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for size in sizes:
            suite = size.suite(place / size.name.replace(" ", ""))
            if "throughput" in parts:
                found = throughput(size, suite, codecs, rounds=rounds)
                metrics[f"throughput {size.name}"] = found
            if "ray" in parts and has_ray:
                metrics[f"ray {size.name}"] = ray(size, suite, rounds=min(rounds, 3))
        if "busy" in parts:
            steps = [0.05, 0.2] if asked.quick else [0.05, 0.2, 1.0]
            chosen = asked.codec or ["auto"]  # what users get unless they say otherwise
            found = busy(place, chosen, steps=steps, rounds=min(rounds, 3), quick=asked.quick)
            metrics["busy"] = found
    if "ray" in parts and not has_ray:
        print("\nNot compared with Ray Data, which is not installed: pip install 'ray[data]'")
    print(f"\nwritten to {common.write('engine', metrics, environ, copy=asked.json)}")


def has(module: str) -> bool:
    """Tell whether a module is installed."""
    return importlib.util.find_spec(module) is not None


if __name__ == "__main__":
    main()
