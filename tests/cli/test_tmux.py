"""The dashboard in a terminal that folds long lines and brings scrolled rows back: tmux."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from editbench.cli.dashboard import view
from tests.cli.emulator import Emulator
from tests.cli.test_screens import STATES

ROOT = Path(__file__).parents[2]
DRAW = """
import time
from editbench.cli.dashboard import view
from editbench.cli.painter import Painter
from editbench.cli.terminal import Terminal
from tests.cli.test_screens import STATES
console = Terminal()
painter = Painter(console)
print("what the shell showed before")
while True:
    width, height = console.window()
    painter.draw(view(STATES["score"], width, height - 1), (width, height))
    time.sleep(0.05)
"""
PATIENCE = 30.0
SIZES = [(60, 14), (120, 40), (80, 24), (45, 12), (130, 34), (40, 34), (100, 8), (80, 30)]


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_a_window_that_changes_its_size_shows_the_frame_once(tmp_path: Path) -> None:
    socket = tmp_path / "tmux"

    def tmux(*words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(socket), "-f", "/dev/null", *words],
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)},
        )
        return done.stdout

    def rows() -> list[str]:
        return [row for row in tmux("capture-pane", "-p").splitlines() if row]

    tmux("new-session", "-d", "-x", "100", "-y", "30", sys.executable, "-c", DRAW)
    try:
        for width, height in [(100, 30), *SIZES]:
            tmux("resize-window", "-x", str(width), "-y", str(height))
            picture = view(STATES["score"], width, height - 1)
            frame = [row for row in Emulator(width, height).expected(picture, width) if row]
            before = ["what the shell showed before"]
            end = time.monotonic() + PATIENCE
            while (seen := rows()) not in (frame, before + frame):
                assert time.monotonic() < end, "\n".join([f"{width}x{height}:", *seen])
                time.sleep(0.05)
    finally:
        tmux("kill-server")
