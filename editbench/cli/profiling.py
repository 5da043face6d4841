"""``editbench profile``: runs the scripts that measure the engine itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import typer

SCRIPTS = {
    "swap": "Changing models on the device: ours, how others do it, and the link's own speed.",
    "schedule": "One plan against going pair by pair, and category by category.",
    "loading": "Loading a model whose files were read ahead, against the disk's own speed.",
    "engine": "What the engine adds to the work of a pair, and how busy it keeps the device.",
    "resume": "Finding out that a run is finished, against reading its suite and the store's keys.",
    "spill": "Storing and reading edits against the disk's own speed.",
    "memory": "Peak memory over long runs against the budget.",
}
EXAMPLES = """\
[bold]Examples[/]

editbench profile swap

editbench profile swap --size full --ballast 60GiB --only naive --only overlay

editbench profile engine --quick --json engine.json

editbench profile spill --help

Every measurement has a peer or a physical limit in the same run, and leaves its figures in \
.benchmarks/. docs/benchmarks.md says what was found, and what does not hold.
"""

profile = typer.Typer(
    help="Measure the engine itself, on this machine.",
    epilog=EXAMPLES,
    rich_markup_mode="rich",
    no_args_is_help=True,
)


def folder() -> Path:
    """Return where the scripts are: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).parents[1]
    beside = package.parent / "benchmarks"
    return beside if (beside / "common.py").is_file() else package / "_benchmarks"


def _run(context: typer.Context) -> None:
    script = folder() / f"{context.info_name}.py"
    done = subprocess.run([sys.executable, str(script), *context.args], check=False)
    raise typer.Exit(done.returncode)


for name, what in SCRIPTS.items():
    # The script has flags of its own, --help among them.
    profile.command(
        name,
        help=what,
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(_run)
