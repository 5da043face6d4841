"""Takes the pictures in docs/screens: a real run in tmux at four sizes of the window, as SVG.

Needs tmux. Takes two minutes, since the models are tiny and real.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs/screens"
PATIENCE = 600.0
#: rich's own template asks a server for its font
TEMPLATE = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: Menlo, Consolas, "DejaVu Sans Mono", "Noto Sans Mono CJK SC",
  monospace; font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


class Window:
    """A run in a window of tmux."""

    def __init__(self, folder: Path, width: int, height: int, *flags: str) -> None:
        self._socket = folder / f"{width}.tmux"
        self.width = width
        run = [sys.executable, "-m", "editbench", "run", "-b", "demo", *flags]
        run += ["--spill-dir", str(folder / "store")]
        size = ["-x", str(width), "-y", str(height)]
        self._tmux("new-session", "-d", *size, "-c", str(folder), *run)
        self._tmux("set", "-g", "remain-on-exit", "on")

    def _tmux(self, *words: str) -> str:
        tmux = ["tmux", "-S", str(self._socket), "-f", "/dev/null"]
        kept = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR")}
        environ = kept | {"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*tmux, *words], env=environ, check=True, capture_output=True, text=True
        )
        return done.stdout

    def resize(self, width: int, height: int) -> None:
        self.width = width
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def press(self, key: str) -> None:
        self._tmux("send-keys", key)

    def wait_for(self, seen: Callable[[str], bool]) -> None:
        """Wait until the screen's text is as wanted."""
        end = time.monotonic() + PATIENCE
        while not seen(text := self._tmux("capture-pane", "-p")):
            if time.monotonic() > end:
                sys.exit(f"this was not to come:\n{text}")
            time.sleep(0.1)

    def save(self, name: str, title: str) -> None:
        """Write the screen as a picture."""
        ansi = self._tmux("capture-pane", "-p", "-e").rstrip("\n")
        console = Console(record=True, width=self.width, file=open(os.devnull, "w"))
        console.print(Text.from_ansi(ansi), no_wrap=True, crop=True)
        TARGET.mkdir(exist_ok=True)
        svg = console.export_svg(title=title, code_format=TEMPLATE, unique_id="screen")
        lines = [line.rstrip() for line in svg.splitlines()]
        (TARGET / f"{name}.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def close(self) -> None:
        self._tmux("kill-server")


def done(phase: str, count: int) -> Callable[[str], bool]:
    """Return a test for so many items of a phase being done."""

    def seen(text: str) -> bool:
        found = re.search(rf"> {phase} +(\d+)/", text) or re.search(rf"{phase} (\d+)/", text)
        return found is not None and int(found[1]) >= count

    return seen


def main() -> None:
    """Take the pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        window = Window(folder, 120, 40)
        window.wait_for(done("edit", 24))
        window.save("edit", "120 x 40: editing")
        window.resize(80, 24)
        window.wait_for(done("score", 20))
        window.save("score", "80 x 24: scoring, after the swap")
        window.wait_for(lambda text: "results:" in text)
        window.close()
        window = Window(folder, 60, 12, "--seed", "1")
        window.wait_for(done("edit", 9))
        window.press("C-c")
        window.wait_for(lambda text: "finishing what" in text)
        window.save("stopping", "60 x 12: after ctrl-c")
        window.wait_for(lambda text: "to continue" in text)
        window.close()
        window = Window(folder, 40, 10, "--seed", "1")
        window.wait_for(done("edit", 18))
        window.save("small", "40 x 10: going on")
        window.close()


if __name__ == "__main__":
    main()
