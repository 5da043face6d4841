"""What the benchmarks share: rounds, spread, ratios, the machine, and the file they leave.

Other work slows a machine by the minute, so every claim is a ratio of figures from the same round,
and its spread over the rounds is shown beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from editbench.doctor import machine, versions
from editbench.engine.memory import host_available

FOLDER = Path(".benchmarks")
TOUCHED = 1_500_000_000  #: bytes; more than a round of any script writes


class Spread(NamedTuple):
    """A figure over the rounds."""

    low: float
    first: float  #: quartile
    median: float
    third: float  #: quartile
    high: float
    rounds: int

    def __str__(self) -> str:
        return (
            f"{self.median:.3g} [{self.low:.3g} {self.first:.3g}-{self.third:.3g} {self.high:.3g}]"
        )


def parser(doc: str | None, *, quick: str) -> argparse.ArgumentParser:
    """Return a parser that explains a script by its docstring and has the flags of all scripts.

    ``quick`` says what ``--quick`` makes of the measurement.
    """
    paragraphs = [part for part in (doc or "").strip().split("\n\n") if part[:1] != " "]
    made = argparse.ArgumentParser(
        description="\n\n".join(paragraphs), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help=quick)
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    return made


def spread(values: Sequence[float]) -> Spread:
    """Return minimum, quartiles and maximum."""
    if len(values) == 1:
        return Spread(*[values[0]] * 5, rounds=1)
    first, median, third = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(min(values), first, median, third, max(values), len(values))


def interleaved(
    variants: Mapping[str, Callable[[], Mapping[str, float]]], *, rounds: int, warm_ups: int = 1
) -> dict[str, dict[str, list[float]]]:
    """Measure every variant once a round, each round in another order, and drop the warm-ups.

    Return the values of each variant's figures, round by round.
    """
    names = list(variants)
    found: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    for number in range(warm_ups + rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            figures = variants[name]()
            if number < warm_ups:
                continue
            for figure, value in figures.items():
                found[name].setdefault(figure, []).append(value)
    return found


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Return the spread of the ratios, round by round."""
    return spread([one / other for one, other in zip(ours, theirs, strict=True)])


def touch_memory() -> None:
    """Write to as much memory as a round needs, and free it, right before a measurement.

    The host of a virtual machine may take back what the machine has freed, and gives it again page
    by page at the first touch. What takes long to start would pay for that, while what starts at
    once finds the pages that the process before it has freed.
    """
    touched = b"\1" * min(TOUCHED, host_available() // 2)
    del touched


def environment() -> dict[str, Any]:
    """Return what the figures were taken on."""
    return {
        "commit": _git("rev-parse", "--short", "HEAD"),
        "changed_since": bool(_git("status", "--porcelain", "--", "editbench")),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "processor": _first(r"model name\s*: (.*)", Path("/proc/cpuinfo")),
        "memory": _first(r"MemTotal:\s*(.*)", Path("/proc/meminfo")),
        "load_average": os.getloadavg(),
        **machine(),
        "versions": versions(),
    }


def work_folder() -> Path:
    """Return a folder on this disk, rather than in memory, for what a measurement writes."""
    FOLDER.mkdir(exist_ok=True)
    return FOLDER


def write(
    name: str, metrics: Mapping[str, Any], environ: Mapping[str, Any], *, copy: Path | None
) -> Path:
    """Write a result file with the next number, and a copy if asked; return where it is."""
    taken = [int(path.name[:4]) for path in work_folder().glob("[0-9][0-9][0-9][0-9]_*.json")]
    stamp = time.strftime("%Y%m%d-%H%M%S")
    path = FOLDER / f"{max(taken, default=0) + 1:04}_{name}_{environ['commit']}_{stamp}.json"
    text = json.dumps({"name": name, "environ": environ, "metrics": metrics}, indent=1) + "\n"
    for target in filter(None, (path, copy)):
        target.write_text(text, encoding="utf-8")
    return path


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows as a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _first(pattern: str, path: Path) -> str:
    match = re.search(pattern, path.read_text()) if path.exists() else None
    return match[1] if match else "unknown"
