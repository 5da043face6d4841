"""A suite far larger than the memory it may take."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

SIZE = 600 * 10**6
ALLOWED = 400 * 10**6  #: bytes above what the imports take

MEASURE = """
import resource, sys
from editbench import api, assemble
import torch, numpy, PIL.Image
from editbench.engine.wiring import plan_run

def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

config = api.load_config(overrides={
    "suite": {"path": sys.argv[1]},
    "editor": {"use": "pillow"},
    "memory": {"folder": sys.argv[2]},
})
with assemble.assemble(config, emit=lambda event: None, lock=False):
    pass  # once with a small suite, so that every import and cache is counted as an import
before = status("VmRSS")
config = api.load_config(overrides={
    "suite": {"path": sys.argv[3], "language": "zh"},
    "editor": {"use": "pillow"},
    "memory": {"folder": sys.argv[2]},
})
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak counts from here
with assemble.assemble(config, emit=lambda event: None, lock=False) as assembly:
    assert plan_run(assembly.parts).phases
    print(len(assembly.suite), status("VmHWM") - before)
"""


def write(path: Path, size: int) -> int:
    """Write a five-category file of noise images, about ``size`` bytes; return its pairs."""
    noise = np.random.default_rng(0)
    count = 0
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            pixels = noise.integers(0, 256, (840, 840, 3), dtype=np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG", compress_level=0)
            item = {
                "subset": "物理环境社会因果指代"[2 * (count % 5) :][:2],
                "original_description": "一幅噪声图。",
                "edit_instruction": f"把第 {count} 幅图变亮。",
                "original_description_en": "A picture of noise.",
                "edit_instruction_en": f"Make picture {count} brighter.",
                "src_img_b64": base64.b64encode(buffer.getvalue()).decode("ascii"),
                "original_image_path": f"images/{count:05}_noise.png",
            }
            file.write("[\n" if not count else ",\n")
            json.dump(item, file, ensure_ascii=False)
            count += 1
        file.write("\n]\n")
    return count


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux's /proc"
)
def test_600_megabytes_open_in_a_fraction_of_that(tmp_path: Path) -> None:
    small, large = tmp_path / "small.json", tmp_path / "large.json"
    write(small, 1)
    pairs = write(large, SIZE)
    assert large.stat().st_size >= SIZE
    command = [sys.executable, "-c", MEASURE, str(small), str(tmp_path / "store"), str(large)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    count, peak = map(int, done.stdout.split())
    assert count == pairs
    assert peak < ALLOWED, f"{peak:,} bytes above the imports"
