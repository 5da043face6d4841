"""``editbench profile``: runs the scripts that measure the engine itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from editbench.cli.commands import Screen
from editbench.errors import ConfigError

SCRIPTS = {
    "swap": "changing models on the device, against how others do it and the link's own speed",
    "schedule": "one plan against going pair by pair and category by category",
    "engine": "the way of a pair through the engine, and how busy the device is kept",
    "spill": "storing and reading edits against the disk's own speed",
    "memory": "peak memory over long runs against the budget",
}
_LISTED = "; ".join(f"[bold]{name}[/]: {what}" for name, what in SCRIPTS.items())


def folder() -> Path:
    """Return where the scripts are: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).parents[1]
    beside = package.parent / "benchmarks"
    return beside if (beside / "common.py").is_file() else package / "_benchmarks"


def profile(
    screen: Screen,
    what: Annotated[str, typer.Argument(metavar="NAME", help=_LISTED)],
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- ARGS]", help="For the script; -- --help lists them."),
    ] = None,
) -> int:
    """Measure the engine on this machine, with a peer or a physical limit in the same run."""
    if what not in SCRIPTS:
        known = ", ".join(SCRIPTS)
        raise ConfigError(f"there is no profile {what!r}", hint=f"there are {known}")
    command = [sys.executable, str(folder() / f"{what}.py"), *(more or ())]
    return subprocess.run(command, check=False).returncode
