"""Holds the source tree to the rules that the design gives it."""

from __future__ import annotations

import ast
import runpy
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "editbench"
FILES = sorted(PACKAGE.rglob("*.py"))

PLAIN = {"records", "errors", "units"}  # values and words that every room may use
MAY_IMPORT = {
    "cli": {"api", "config", "engine.events"},
    "__main__": {"cli.app"},
    "report": set(),
    "suites": set(),
    "backends": {"engine.protocols", "suites.rubrics"},
    "engine": set(),
    "testing": {"engine.protocols"},
    "config": set(),
    "records": set(),
    "errors": set(),
    "units": set(),
}
MEET = {
    "api",
    "loading",
    "rescoring",
    "schemas",
    "pictures",
    "reporting",
    "session",
    "observers",
    "assemble",
    "doctor",
    "runlog",
    "__init__",
}  # where the parts meet: all but cli
HEAVY = {"torch", "diffusers", "transformers", "accelerate", "scipy", "llguidance", "tokenizers"}
HEAVY |= {"safetensors", "huggingface_hub"}


class Import(NamedTuple):
    target: str  #: dotted module
    line: int
    top: bool  #: at module level and at run time


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module_of(path): path for path in FILES}


def imports(path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner: set[int] = set()
    for node in ast.walk(tree):
        guarded = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if guarded or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner.update(id(child) for child in ast.walk(node))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(name.name, node.lineno, id(node) not in inner)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            for name in node.names:
                yield Import(f"{node.module}.{name.name}", node.lineno, id(node) not in inner)


def ours(target: str) -> str | None:
    """The module of this package that an import means, or None for another package."""
    if target.split(".")[0] != "editbench":
        return None
    rest = target.removeprefix("editbench").lstrip(".")
    while rest and rest not in MODULES:
        rest = rest.rpartition(".")[0]
    return rest or "__init__"


@pytest.mark.parametrize("path", FILES, ids=lambda path: module_of(path))
def test_rooms_import_only_what_the_table_allows(path: Path) -> None:
    module = module_of(path)
    room = module.split(".")[0]
    for found in imports(path):
        target = ours(found.target)
        if target is None or target.split(".")[0] == room or target in PLAIN:
            continue
        place = f"{path.relative_to(ROOT)}:{found.line} imports {target}"
        if room in MEET:
            assert target.split(".")[0] != "cli", place
        else:
            assert target in MAY_IMPORT[room], place


@pytest.mark.parametrize("path", FILES, ids=lambda path: module_of(path))
def test_no_model_library_is_imported_at_module_level(path: Path) -> None:
    found = [x for x in imports(path) if x.top and x.target.split(".")[0] in HEAVY]
    assert not found


@pytest.mark.parametrize("path", FILES, ids=lambda path: module_of(path))
def test_nothing_prints_outside_the_command_line(path: Path) -> None:
    if module_of(path).startswith("cli"):
        return
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    prints = [node.lineno for node in calls if ast.unparse(node.func) in ("print", "sys.exit")]
    assert not prints


def test_imports_run_in_no_circle() -> None:
    graph = {
        module: {
            target
            for found in imports(path)
            if found.top and (target := ours(found.target)) and target != module
        }
        for module, path in MODULES.items()
    }
    graph = {module: {t for t in found if t in graph} for module, found in graph.items()}
    TopologicalSorter(graph).prepare()


def test_the_map_says_what_every_file_says_of_itself() -> None:
    made = runpy.run_path(str(ROOT / "docs/make_structure.py"))["structure"]()
    written = (ROOT / "docs/structure.md").read_text(encoding="utf-8")
    assert written == made, "run python docs/make_structure.py"
    missing = [path for path in FILES if path.name != "__init__.py" and path.name not in written]
    assert not missing and ": \n" not in written


def test_no_file_is_long() -> None:
    lengths = {str(path): len(path.read_text().splitlines()) for path in FILES}
    assert {path: n for path, n in lengths.items() if n > 400} == {}


def test_every_public_name_is_documented() -> None:
    import editbench

    undocumented = [name for name in editbench.__all__ if not getattr(editbench, name).__doc__]
    assert undocumented == []
    assert sys.modules["editbench"].__all__ == sorted(editbench.__all__)
