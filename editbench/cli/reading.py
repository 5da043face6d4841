"""The commands that read what runs left: ``show`` and ``list``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from editbench.cli.commands import Screen
from editbench.cli.messages import say
from editbench.cli.options import variable

Out = Annotated[
    Path,
    typer.Option("--out", "-o", help="Folder of the runs.", envvar=variable("out")),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
Which = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="A run's folder or its name; without one, the latest run."),
]
Kind = Literal["runs", "editors", "judges", "suites", "observers"]


def show(
    run: Which = None,
    pair: Annotated[
        str | None, typer.Argument(metavar="PAIR", help="Id of one pair, to show in full.")
    ] = None,
    *,
    out: Out = Path("runs"),
    as_json: AsJson = False,
    screen: Screen,
) -> None:
    """Show how a run stands, also one still going on, or one pair in full."""
    from editbench.api import open_result
    from editbench.cli import looking

    result = open_result(run, out=out)
    if pair is None and not as_json:
        looking.show_run(result, screen)
    elif pair is None:
        print_json(looking.status(result))
    elif not as_json:
        looking.show_pair(looking.find(result, pair), screen)
    else:
        print_json(looking.find(result, pair))


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
