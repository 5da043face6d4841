"""Writes docs/structure.md from the first sentence of every module."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "editbench"
ROOMS = {
    "": "The root: the public API, settings and values",
    "engine": "engine: plans and executes runs; knows no pipeline, no terminal, no suite format",
    "backends": "backends: editors and judges",
    "suites": "suites: formats in, pairs out; rubrics, verdicts, formulas",
    "report": "report: statistics, and the files that show them",
    "cli": "cli: commands and displays",
    "testing": "testing: for authors of plug-ins",
}
HEAD = """\
# The map

One sentence a file: the one that the file opens with. `tests/test_structure.py` holds this page to
the tree, and the tree to this table of who may import whom:

```
cli      -> api, config, records, errors, units, engine.events
api      -> everything but cli; so do the helpers of api that lie beside it
report   -> records, errors, units
suites   -> records, errors, units
backends -> records, errors, units, engine.protocols, suites.rubrics
engine   -> records, errors, units; suites, backends and displays are handed in
```
"""


def sentence(path: Path) -> str:
    """Return the first sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.split("\n\n")[0].split())
    found = re.match(r"(.+?\.)(\s|$)", paragraph)
    return found[1] if found else paragraph


def structure() -> str:
    """Return the page."""
    lines = [HEAD]
    for room, title in ROOMS.items():
        files = (PACKAGE / room).rglob("*.py") if room else PACKAGE.glob("*.py")
        lines += [f"## {title}", ""]
        lines += [
            f"- `{path.relative_to(ROOT)}`: {sentence(path)}"
            for path in sorted(files)
            if path.name != "__init__.py"
        ]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    (ROOT / "docs/structure.md").write_text(structure(), encoding="utf-8")
