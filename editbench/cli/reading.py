"""The commands that read what runs left: ``show`` and ``list``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from editbench.cli import completion
from editbench.cli.commands import Screen
from editbench.cli.messages import say
from editbench.cli.modes import Mode
from editbench.cli.options import OUTPUT, flag

Out = Annotated[
    Path,
    typer.Option("--out", "-o", help="Folder of the runs.", metavar="DIR"),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
Which = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="A run's folder or its name; without one, the latest run.",
        autocompletion=completion.runs,
    ),
]
Kind = Literal["runs", "editors", "judges", "suites", "observers"]


LIST_EXAMPLES = """\
[bold]Examples[/]

editbench list

editbench list editors

editbench list runs --json
"""
SHOW_EXAMPLES = """\
[bold]Examples[/]

editbench show

editbench show RUN --pair ID

editbench show --follow

--follow shows a run that goes on in another terminal, as that terminal does; Ctrl-C ends the \
looking and not the run.
"""


def show(
    run: Which = None,
    *,
    pair: Annotated[
        str | None,
        typer.Option(
            "--pair", metavar="ID", help="One pair, in full.", envvar="EDITBENCH_SHOW_PAIR"
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Watch it go on.")] = False,
    out: Out = Path("runs"),
    as_json: AsJson = False,
    display: Annotated[Mode, flag("display", help="How to watch it.", panel=OUTPUT)] = Mode.AUTO,
    screen: Screen,
) -> int:
    """Show how a run stands, also one still going on, or one pair in full."""
    from editbench.api import open_result, running
    from editbench.cli import looking

    result = open_result(run, out=out)
    if pair is not None:
        item = looking.find(result, pair)
        if as_json:
            print_json(item)
        else:
            looking.show_pair(item, screen)
    elif as_json:
        print_json(looking.status(result))
    elif follow and running(result):
        from editbench.cli.following import follow as follow_run

        return follow_run(result, screen, display)
    else:
        looking.show_run(result, screen)
    return 0


def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.")] = "runs",
    *,
    out: Out = Path("runs"),
    as_json: AsJson = False,
    screen: Screen,
) -> None:
    """List runs, or the editors, judges, suites and observers that can be named."""
    from editbench.api import available
    from editbench.cli import looking, tables

    rows: Sequence[Mapping[str, str]]
    rows = looking.runs(out) if kind == "runs" else available(kind)
    if as_json:
        print_json(rows)
    elif rows:
        screen.out.print(tables.listing(rows, *rows[0]))
    else:
        say(screen.err, "note", f"there are no runs in {out}", "editbench run makes one")


def print_json(value: object) -> None:
    """Print a value on stdout, for programs."""
    print(json.dumps(value, indent=1))
