"""What it costs to change models on one device: the ways that others have, and ours step by step.

    python benchmarks/swap.py [--size tiny|half|full] [--ballast 60GiB] [--cycles N] [--only METHOD]

First the link itself is measured. Then each method, in a process of its own, is given an editor and
a judge and has them take turns: editor, judge, editor, and so on, one real step each, always with
the same inputs. Their outputs must stay the same bits as before the first move.

On a GPU the models have their real size and are made there from their configurations; nothing is
downloaded. --ballast fills a part of a large card, so that it stands for a smaller one. Without a
GPU the models are tiny and the device is a pretended one: real bytes go from one part of memory to
another, and seconds say nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import common
from chart import Bar, bars
from ladder import Arena, ArenaAndRegion, FromFile, Overlay
from movers import (
    Dispatched,
    GroupOffload,
    GroupOffloadLeaves,
    GroupOffloadRecorded,
    HookChain,
    ModelOffload,
    Mover,
    Naive,
    Retained,
    RetainedPinned,
)
from turns import Asked, ceilings, fresh_processes, in_a_process, measure
from weights import SIZES

from editbench.units import format_bytes, format_seconds, parse_bytes

METHODS: Mapping[str, type[Mover]] = {
    "naive": Naive,
    "model-offload": ModelOffload,
    "hook-chain": HookChain,
    "dispatch": Dispatched,
    "group-blocks": GroupOffload,
    "group-recorded": GroupOffloadRecorded,
    "group-leaves": GroupOffloadLeaves,
    "retained": Retained,
    "retained-pinned": RetainedPinned,
    "arena": Arena,
    "region": ArenaAndRegion,
    "overlay": Overlay,
    "file": FromFile,
}

Row = Mapping[str, Any]


def main() -> None:
    asked, args = parse()
    ask = partial(in_a_process, fresh_processes(asked.device), timeout=args.timeout)
    environ = common.environment()
    link = ask(ceilings, asked)
    if "reason" in link:
        raise SystemExit(f"cannot measure here: {link['reason']}")
    print(describe(link, asked), flush=True)
    rows = []
    for name in args.only or METHODS:
        began = time.perf_counter()
        rows.append({"method": name, "same": None} | ask(measure, METHODS[name], asked))
        took = format_seconds(time.perf_counter() - began)
        print(f"{name}, {took}: {brief(rows[-1])}", flush=True)
    print(f"\n{table(rows, link)}\n\n{legend(rows, link)}")
    metrics = {"asked": asked._asdict(), "link": link, "rows": rows}
    path = common.write("swap", metrics, environ, copy=args.json)
    chart = args.chart or path.with_suffix(".svg")
    chart.write_text(draw(rows, link), encoding="utf-8")
    print(f"\nwritten to {path}, drawn to {chart}")


def parse() -> tuple[Asked, argparse.Namespace]:
    parser = common.parser(__doc__, quick="two cycles")
    parser.add_argument("--size", choices=SIZES, default="tiny", help="of the models (tiny)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1 (auto)")
    parser.add_argument(
        "--ballast", type=parse_bytes, default=0, metavar="SIZE", help="of a GPU to fill: 60GiB"
    )
    parser.add_argument(
        "--host",
        type=parse_bytes,
        default=0,
        metavar="SIZE",
        help="host memory to count on, where a virtual machine shows less than it can have",
    )
    parser.add_argument(
        "--cycles", "--rounds", type=int, default=5, help="to measure, after one to warm up (5)"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=METHODS,
        metavar="METHOD",
        help=f"may be repeated; one of {', '.join(METHODS)}",
    )
    parser.add_argument(
        "--timeout", type=float, default=300, metavar="S", help="seconds for one method (300)"
    )
    parser.add_argument("--chart", type=Path, metavar="FILE", help="where the drawing goes")
    args = parser.parse_args()
    cycles = 2 if args.quick else max(1, args.cycles)
    return Asked(args.size, args.device, args.ballast, cycles, args.host), args


def describe(link: Row, asked: Asked) -> str:
    """Return what the link can do, in words."""
    if "memory" in link:
        return f"a pretend device; a copy in memory: {rate(link['memory']['into'])}"
    ways = [
        f"{kind} {rate(link[kind]['into'])} in and {rate(link[kind]['back'])} back"
        for kind in ("pinned", "pageable")
    ]
    ballast = f", {format_bytes(asked.ballast)} of it filled" if asked.ballast else ""
    pinning = f"pinning {link['pinning'] / 1e9:.3g} GB/s"
    return f"{link['gpu']}{ballast}\nGB/s: {', '.join([*ways, pinning])}"


def brief(row: Row) -> str:
    """Return the gist of a row, so that a run that is cut off has not been for nothing."""
    if "into" not in row:
        return str(row["reason"])
    return (
        f"{common.spread(row['exposed']).median:.3g} s a change, {format_bytes(row['into'])} in, "
        f"{format_bytes(row['back'])} back, {'the same' if row['same'] else 'OTHER'} bits"
    )


def rate(rates: Sequence[float]) -> str:
    return str(common.spread([each / 1e9 for each in rates]))


def ceiling(link: Row) -> float:
    """Return the most bytes a second that a copy to the device can reach."""
    return common.spread(link.get("pinned", link.get("memory"))["into"]).median


def table(rows: Sequence[Row], link: Row) -> str:
    """Return the figures of a change of model, as a Markdown table."""
    unit, scale = ("ms", 1e3) if "memory" in link else ("s", 1)
    found = [row["exposed"] for row in rows if row["method"] == "naive" and "into" in row]
    naive = found[0] if found else []
    head = ["method", "in", "back", f"copying, {unit}", "GB/s", "of ceiling", f"exposed, {unit}"]
    head += ["naive / it", "host", "pinned", "device", "same bits"]
    lines = []
    for row in rows:
        label, same = METHODS[row["method"]].label, {True: "yes", False: "NO"}.get(row["same"], "-")
        known = "into" in row
        figures = cells(row, ceiling(link), naive, scale) if known else ["-"] * (len(head) - 2)
        lines.append([label, *figures, same])
    return common.table(head, lines)


def cells(row: Row, most: float, naive: Sequence[float], scale: float) -> list[str]:
    def spread(seconds: Sequence[float]) -> common.Spread:
        return common.spread([each * scale for each in seconds])

    exposed = spread(row["exposed"])
    copying = spread(row["copying"]) if row["copying"] else None
    a_second = (row["into"] + row["back"]) / ((copying or exposed).median / scale)
    times = "" if scale > 1 or not naive else f"{spread(naive).median / exposed.median:.3g}"
    pinned = row["pinned"]
    share = f"{format_bytes(pinned)} ({pinned / row['weights']:.3f}x)" if pinned else ""
    return [
        format_bytes(row["into"]),
        format_bytes(row["back"]),
        str(copying or "in the step"),
        f"{a_second / 1e9:.3g}",
        f"{a_second / most:.0%}",
        str(exposed),
        times,
        format_bytes(row["host"]),
        share,
        format_bytes(row["device"]),
    ]


def legend(rows: Sequence[Row], link: Row) -> str:
    """Return what the columns mean, and why a method has no figures."""
    lines = [
        "Of a change of model, median [lowest, quartiles, highest] over the cycles. copying: from",
        "asking for a model until its step can begin. GB/s: all bytes moved, while copying; of",
        "ceiling: of what a copy to the device can do. exposed: what change and step took beyond",
        "the step alone. host, device: the peak, on the host beyond what the libraries take.",
        "* moves the editor's weights in every step, so this is one step, of the editor alone.",
    ]
    if "memory" in link:
        lines.append("The models are tiny and the device pretended: seconds and GB/s say nothing.")
    left_out: dict[str, list[str]] = {}
    for row in rows:
        if "reason" in row:
            left_out.setdefault(row["reason"], []).append(METHODS[row["method"]].label)
    lines += [f"- {reason}: {', '.join(labels)}" for reason, labels in left_out.items()]
    return "\n".join(lines)


def draw(rows: Sequence[Row], link: Row) -> str:
    """Return the chart: seconds by method, or bytes where seconds say nothing."""
    pretend = "memory" in link
    drawn = []
    for row in rows:
        name = METHODS[row["method"]].label
        ours = name.startswith("ours")
        if "into" not in row:
            drawn.append(Bar(name, None, row["reason"]))
        elif pretend:
            moved = row["into"] + row["back"]
            drawn.append(Bar(name, moved, format_bytes(moved), ours))
        else:
            lost = max(0.0, common.spread(row["exposed"]).median)
            drawn.append(Bar(name, lost, f"{lost:.3g} s", ours))
    if pretend:
        return bars(
            "Bytes moved by a change of model",
            drawn,
            note="Tiny models on a pretend device. Shorter is better.",
            log=False,
        )
    return bars(
        "Seconds that a change of model costs",
        drawn,
        note=f"{link['gpu']}. Logarithmic, shorter is better.",
        log=True,
    )


if __name__ == "__main__":
    main()
