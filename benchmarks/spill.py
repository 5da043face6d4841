"""What it costs to keep an edit: the store and the spill against the disk itself.

    python benchmarks/spill.py [--quick] [--rounds N] [--only SIZE]

In every round, on the same disk: one large file written and synced (what the disk can do), the
same encoded images as plain files (each written, synced and renamed: the least that is durable), as
records of the store (framed, checksummed, indexed), and as edits of the spill (encoded and hashed
too), with one thread and with two. Reading likewise, from the page cache. Rates are of encoded
bytes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import common
from pictures import picture

from editbench.engine import codec as codecs
from editbench.engine.spill import Spill
from editbench.engine.store import Store

SIDES = {"64x64": 64, "1 Mpx": 1024, "4 Mpx": 2048}
DIFFERENT = 6  #: pictures that are really encoded; the others repeat them


def spread_over(work: Callable[[int], object], *, count: int, threads: int) -> float:
    """Call ``work`` for each number below ``count``; return seconds."""
    numbers, taking = iter(range(count)), threading.Lock()

    def serve() -> None:
        while True:
            with taking:
                number = next(numbers, None)
            if number is None:
                return
            work(number)

    start = time.perf_counter()
    workers = [threading.Thread(target=serve) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - start


def raw_disk(folder: Path, size: int) -> dict[str, float]:
    """Write one file in large pieces and sync it, and read it; return seconds."""
    piece, path = os.urandom(8 << 20), folder / "raw"
    start = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for offset in range(0, size, len(piece)):
            file.write(piece[: min(len(piece), size - offset)])
        os.fdatasync(file.fileno())
    written = time.perf_counter() - start
    start = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while file.read(8 << 20):
            pass
    return {"write": written, "read": time.perf_counter() - start}


def files(folder: Path, payloads: Sequence[bytes], count: int, threads: int) -> dict[str, float]:
    """Keep every image in a file of its own, named after its content; return seconds."""
    place = os.open(folder, os.O_RDONLY)

    def name(number: int) -> str:
        content = hashlib.sha256(payloads[number % len(payloads)]).hexdigest()
        return f"{content}-{number}"

    def put(number: int) -> None:
        draft, final = folder / f"{number}.tmp", folder / name(number)
        with draft.open("wb", buffering=0) as file:
            file.write(payloads[number % len(payloads)])
            os.fdatasync(file.fileno())
        draft.rename(final)
        os.fsync(place)

    written = spread_over(put, count=count, threads=threads)
    read = spread_over(
        lambda number: hashlib.sha256((folder / name(number)).read_bytes()).digest(),
        count=count,
        threads=threads,
    )
    os.close(place)
    return {"write": written, "read": read}


def key(number: int) -> str:
    return "e:" + hashlib.sha256(str(number).encode()).hexdigest()


def store(folder: Path, payloads: Sequence[bytes], count: int, threads: int) -> dict[str, float]:
    with Store.open(folder, ballast=0) as opened:
        written = spread_over(
            lambda number: opened.add(key(number), {}, payloads[number % len(payloads)]),
            count=count,
            threads=threads,
        )
        read = spread_over(lambda number: opened.get(key(number)), count=count, threads=threads)
    return {"write": written, "read": read}


def spill(
    folder: Path, images: Sequence[Any], count: int, threads: int, codec: Any
) -> dict[str, float]:
    with Store.open(folder, ballast=0) as opened:
        kept = Spill(opened, host_limit=0, codec=codec)
        written = spread_over(
            lambda number: kept.put(
                key(number), images[number % len(images)], seconds=1.0, provenance={}
            ),
            count=count,
            threads=threads,
        )
        read = spread_over(lambda number: kept.get(key(number)), count=count, threads=threads)
    return {"write": written, "read": read}


def measure(side: int, codec: Any, *, count: int, rounds: int) -> dict[str, Any]:
    """Return seconds of every way, round by round, and the bytes that each round moved."""
    images = [picture(seed, width=side, height=side) for seed in range(DIFFERENT)]
    payloads = [codecs.encode(image, codec).payload for image in images]
    size = sum(len(payloads[number % DIFFERENT]) for number in range(count))

    def fresh(work: Callable[[Path], dict[str, float]]) -> Callable[[], dict[str, float]]:
        def run() -> dict[str, float]:
            with tempfile.TemporaryDirectory(dir=common.work_folder()) as name:
                return work(Path(name))

        return run

    ways: dict[str, Callable[[], dict[str, float]]] = {
        "disk": fresh(lambda folder: raw_disk(folder, max(size, 64 << 20)))
    }
    for n in (1, 2):
        ways[f"files {n}"] = fresh(lambda f, n=n: files(f, payloads, count, n))
        ways[f"store {n}"] = fresh(lambda f, n=n: store(f, payloads, count, n))
        ways[f"spill {n}"] = fresh(lambda f, n=n: spill(f, images, count, n, codec))
    found = common.interleaved(ways, rounds=rounds)
    return {"bytes": size, "disk_bytes": max(size, 64 << 20), "count": count, "seconds": found}


def rows(name: str, codec: str, found: dict[str, Any]) -> list[list[str]]:
    """Return a line for writing and one for reading."""
    seconds, lines = found["seconds"], []
    for what in ("write", "read"):
        disk = found["disk_bytes"] / common.spread(seconds["disk"][what]).median / 1e6
        cells = [name, codec, what, f"{disk:.0f}"]
        for n in (1, 2):
            for way in ("files", "store"):
                median = common.spread(seconds[f"{way} {n}"][what]).median
                cells.append(f"{found['bytes'] / median / 1e6:.0f}")
            share = common.ratio(seconds[f"files {n}"][what], seconds[f"store {n}"][what])
            median = common.spread(seconds[f"spill {n}"][what]).median
            cells += [str(share), f"{found['count'] / median:.0f}"]
        lines.append(cells)
    return lines


def main() -> None:
    parser = common.parser(__doc__, quick="fewer images, two rounds")
    parser.add_argument("--rounds", type=int, default=5, help="to measure, after a warm-up (5)")
    parser.add_argument("--only", action="append", choices=SIDES, help="may be repeated")
    asked = parser.parse_args()
    rounds = 2 if asked.quick else asked.rounds
    head = ["size", "codec", "", "disk MB/s"]
    for n in ("1 thread", "2 threads"):
        head += [f"files MB/s, {n}", "store MB/s", "store/files", "spill images/s"]
    lines: list[list[str]] = []
    metrics: dict[str, Any] = {}
    for name in asked.only or SIDES:
        side = SIDES[name]
        for codec in ("webp", "jxl", "raw"):
            if codec not in codecs.available():
                print(f"{codec} is left out: pip install 'editbench[jxl]' brings it")
                continue
            count = max(6, min(300, (40 if asked.quick else 120) * 10**6 // (side * side * 3)))
            found = measure(side, codec, count=count, rounds=rounds)
            metrics[f"{name} {codec}"] = found
            lines += rows(name, codec, found)
    print("Rates are of encoded bytes, medians over the rounds; store/files is the share of the")
    print("plain files' rate, round by round: median [lowest, quartiles, highest].\n")
    print(common.table(head, lines))
    print(f"\nwritten to {common.write('spill', metrics, common.environment(), copy=asked.json)}")


if __name__ == "__main__":
    main()
