"""The commands that turn results into something to show: ``report`` and ``compare``."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

import typer

from editbench.cli.commands import Screen
from editbench.cli.messages import say
from editbench.cli.reading import AsJson, Out, Which, print_json
from editbench.errors import GateFailed, MachineError

Format = Literal["md", "json", "csv"]

COMPARE_EXAMPLES = """\
[bold]Examples[/]

editbench compare BASE NEW

editbench compare BASE NEW --fail-if 'drop > 0.2' --fail-if 'sure-drop in any > 0'

editbench compare BASE NEW --format md > difference.md

The difference is the second run's mean less the first's, over the pairs that both scored, with a \
95 % interval from a paired bootstrap. sure-drop is the drop that the interval leaves no doubt of.
"""


def report(
    run: Which = None,
    *,
    form: Annotated[Format, typer.Option("--format", "-f", help="Form.")] = "md",
    to: Annotated[
        Path | None, typer.Option("--to", help="File to write, instead of stdout.")
    ] = None,
    out: Out = Path("runs"),
    screen: Screen,
) -> None:
    """Write a finished run's report: Markdown, or all its items as JSON or CSV."""
    from editbench.api import open_result

    result = open_result(run, out=out)
    try:
        target = to.open("w", encoding="utf-8", newline="\n") if to else nullcontext(sys.stdout)
    except OSError as exc:
        raise MachineError(f"cannot write {to}: {exc}") from exc
    with target as stream:
        if form == "csv":
            result.to_csv(stream)
        elif form == "json":
            result.to_json(stream)
        else:
            stream.write(result.to_markdown())
    if to:
        say(screen.err, "written", str(to))


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="The run to start from.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The run to compare with it.")],
    *,
    form: Annotated[
        Literal["table", "md"], typer.Option("--format", "-f", help="Form on stdout.")
    ] = "table",
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help="Exit with 5 if this holds, such as 'drop > 0.2' or 'drop in social > 0.5'. "
            "Figures: drop, sure-drop, losses, wins. Repeat for more.",
        ),
    ] = None,
    out: Out = Path("runs"),
    as_json: AsJson = False,
    screen: Screen,
) -> None:
    """Compare two runs over the pairs that both scored: difference, interval, wins and losses."""
    from editbench import api
    from editbench.cli import tables

    gates = [api.parse_gate(text) for text in fail_if or ()]
    found = api.compare(api.open_result(a, out=out), api.open_result(b, out=out))
    if as_json:
        print_json(found.as_json())
    elif form == "md":
        print(found.to_markdown(), end="")
    else:
        tables.comparison(found, screen.out)
    if not as_json and form == "table":
        for warning in found.warnings:
            say(screen.err, "warning", warning)
    met = [line for gate in gates for line in gate.met(found)]
    if met:
        raise GateFailed("the comparison meets a condition of --fail-if", problems=met)
