"""How long a model takes from its files into the memory that it is moved to the device from.

    python benchmarks/loading.py [--quick] [--gigabytes N] [--rounds N] [--only WAY]

A transformers model with random weights, forgotten by the system's cache before each reading: read
when it is needed, and after its files were read ahead, as they are while the last edits are made.
The limit is the disk: how long reading the files alone takes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import common

from editbench.backends.libraries import silence
from editbench.engine.ahead import ReadAhead

ALL = 2**62  #: bytes
WAYS = ("when needed", "read ahead", "disk")


def make(folder: Path, *, size: float) -> None:
    """Write a checkpoint of about so many bytes."""
    silence("transformers")
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.set_default_dtype(torch.bfloat16)
    width, vocabulary = 2048, 8192
    layer = 2 * (2 * width * width + 2 * width * width // 4 + 3 * width * 3 * width)  # bytes
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=max(1, round(size / layer)),
        num_attention_heads=16,
        num_key_value_heads=4,
        head_dim=128,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder, max_shard_size="1GB")


def forget(files: Sequence[Path]) -> None:
    """Have the system's cache forget files."""
    for path in files:
        file = os.open(path, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def read_all(files: Sequence[Path]) -> float:
    """Read files from the disk; return seconds."""
    start, size = time.perf_counter(), sum(path.stat().st_size for path in files)
    reading = ReadAhead(files, most=ALL)
    while reading.read < size:
        time.sleep(0.001)
    return time.perf_counter() - start


def load(folder: Path, way: str) -> float:
    """Load the model and take charge of its weights in one of the ways; return seconds."""
    silence("transformers")
    import torch
    from transformers import Qwen3ForCausalLM

    from editbench.engine.residency import ResidencyManager
    from editbench.engine.simulated import SimDevice

    files = sorted(folder.glob("*.safetensors"))
    forget(files)
    if way == "disk":
        return read_all(files)
    if way == "read ahead":
        read_all(files)
    manager = ResidencyManager(SimDevice(1 << 20), verify="off")
    start = time.perf_counter()
    model = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    manager.adopt("model", {"model": model})
    return time.perf_counter() - start


def in_a_process(folder: Path, way: str) -> dict[str, float]:
    """Load in a fresh interpreter, so that none finds another's memory."""
    asked = [sys.executable, __file__, "--inside", json.dumps([str(folder), way])]
    done = subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True)
    return {"seconds": float(done.stdout.splitlines()[-1])}


def main() -> None:
    parser = common.parser(__doc__, quick="a quarter of a gigabyte, two rounds")
    parser.add_argument("--gigabytes", type=float, default=3.0, help="of weights (3)")
    parser.add_argument("--rounds", type=int, default=5, help="to measure, after a warm-up (5)")
    parser.add_argument(
        "--only", action="append", choices=WAYS[1:], help="beside when needed; may be repeated"
    )
    parser.add_argument("--inside", type=json.loads, help="folder and way; how it calls itself")
    asked = parser.parse_args()
    if asked.inside:
        folder, way = asked.inside
        print(load(Path(folder), way))
        return
    ways = (WAYS[0], *(asked.only or WAYS[1:]))
    gigabytes, rounds = (0.25, 2) if asked.quick else (asked.gigabytes, asked.rounds)
    environ = common.environment()
    with tempfile.TemporaryDirectory(dir=common.work_folder()) as made:
        folder = Path(made)
        make(folder, size=gigabytes * 1e9)
        size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        found = common.interleaved(
            {way: partial(in_a_process, folder, way) for way in ways}, rounds=rounds
        )
    seconds = {way: each["seconds"] for way, each in found.items()}
    print(f"\n{size / 1e9:.2f} GB: seconds, medians; times as fast as when needed, round by round:")
    print("median [lowest quartiles highest].\n")
    rows = [
        [
            way,
            f"{common.spread(seconds[way]).median:.3g}",
            str(common.ratio(seconds[WAYS[0]], seconds[way])),
        ]
        for way in ways
    ]
    print(common.table(("way", "seconds", "times as fast"), rows), flush=True)
    print(f"\nwritten to {common.write('loading', seconds, environ, copy=asked.json)}")


if __name__ == "__main__":
    main()
