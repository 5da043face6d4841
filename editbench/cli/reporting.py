"""The commands that turn results into something to show: ``report`` and ``compare``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from editbench.cli import completion, logs
from editbench.cli.commands import Screen
from editbench.cli.messages import say
from editbench.cli.options import variable
from editbench.cli.reading import AsJson, Out, print_json
from editbench.errors import ConfigError, GateFailed, MachineError
from editbench.units import format_bytes, parse_bytes

if TYPE_CHECKING:
    from editbench.api import RunResult

Format = Literal["html", "md", "json", "csv", "hf"]
PAGE = "The page"
HUB = "The Hub's form"

REPORT_EXAMPLES = """\
[bold]Examples[/]

editbench report --open

editbench report BASE NEW --to both.html

editbench report BIG --pictures folder

editbench report RUN --format csv > items.csv
"""

COMPARE_EXAMPLES = """\
[bold]Examples[/]

editbench compare BASE NEW

editbench compare BASE NEW --fail-if 'drop > 0.2'

editbench compare BASE NEW --fail-if 'sure-drop in any > 0'

editbench compare BASE NEW --format md > difference.md

The difference is the second run's mean less the first's, over the pairs that both scored, with a \
95 % interval from a paired bootstrap. sure-drop is the drop that the interval leaves no doubt of.
"""


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Folders or names of runs; several stand side by side. Without one, the latest.",
            autocompletion=completion.runs,
        ),
    ] = None,
    *,
    form: Annotated[
        Format, typer.Option("--format", "-f", help="Form.", envvar=variable("format"))
    ] = "html",
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            help="File to write, instead of report.html in the last run's folder, or of stdout.",
            envvar=variable("to"),
        ),
    ] = None,
    pictures: Annotated[
        Literal["embed", "folder"],
        typer.Option(
            help="Inside the page, or larger in a folder beside it.",
            envvar=variable("pictures"),
            rich_help_panel=PAGE,
        ),
    ] = "embed",
    picture_bytes: Annotated[
        str,
        typer.Option(
            metavar="SIZE",
            help="Bound on the embedded pictures; the page is a third larger. The more pairs, the "
            "smaller each picture.",
            envvar=variable("picture-bytes"),
            rich_help_panel=PAGE,
        ),
    ] = "32MB",
    open_: Annotated[
        bool, typer.Option("--open", help="Open the page in a browser.", rich_help_panel=PAGE)
    ] = False,
    dataset: Annotated[
        str,
        typer.Option(
            "--hf-dataset",
            metavar="ORG/NAME",
            help="Benchmark on the Hub that the result is of.",
            envvar=variable("hf-dataset"),
            rich_help_panel=HUB,
        ),
    ] = "",
    task: Annotated[
        str,
        typer.Option(
            "--hf-task",
            metavar="ID",
            help="Its task.",
            envvar=variable("hf-task"),
            rich_help_panel=HUB,
        ),
    ] = "default",
    out: Out = Path("runs"),
    screen: Screen,
) -> None:
    """Write a report of finished runs: a page to look at, or Markdown, JSON, CSV, the Hub's form.

    The page is one file that needs no network. Everything but the page goes to stdout.
    """
    from editbench import api

    results = [api.open_result(run, out=out) for run in runs or (None,)]
    if form == "html":
        size = _size(picture_bytes)
        target = _written(
            screen,
            lambda: api.write_report(results, to, pictures=pictures, picture_bytes=size),
        )
        if open_:
            typer.launch(target.resolve().as_uri())
        return
    if len(results) > 1:
        raise ConfigError(
            f"--format {form} takes one run, not {len(results)}",
            hint="editbench compare A B puts two side by side",
        )
    _write_text(results[0], form, to, dataset=dataset, task=task)
    if to:
        say(screen.err, "written", str(to))


def _written(screen: Screen, write: Callable[[], Path]) -> Path:
    """Write a page, and say what it cannot show and where it is."""
    busy = screen.err.status("finding pictures and making the page")
    with logs.to_terminal(screen.err, verbose=screen.verbose), busy:
        target = write()
    say(screen.err, "written", f"{target}  {format_bytes(target.stat().st_size)}")
    return target


def _write_text(
    result: RunResult, form: Format, to: Path | None, *, dataset: str, task: str
) -> None:
    """Write one run's report in a form that is text, to a file or to stdout."""
    if form == "hf" and not dataset:
        raise ConfigError(
            "--format hf needs --hf-dataset ORG/NAME",
            hint="it means a data set that the Hub lists as a benchmark",
        )
    try:
        target = to.open("w", encoding="utf-8", newline="\n") if to else nullcontext(sys.stdout)
    except OSError as exc:
        raise MachineError(f"cannot write {to}: {exc}") from exc
    with target as stream:
        match form:
            case "csv":
                result.to_csv(stream)
            case "json":
                result.to_json(stream)
            case "hf":
                stream.write(result.to_hub(dataset, task=task))
            case _:
                stream.write(result.to_markdown())


def _size(text: str) -> int:
    """Return a size in bytes. Raises ``ConfigError``."""
    try:
        return parse_bytes(text)
    except ValueError as exc:
        raise ConfigError(f"--picture-bytes: {exc}") from exc


def compare(
    a: Annotated[
        str,
        typer.Argument(metavar="A", help="The run to start from.", autocompletion=completion.runs),
    ],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B", help="The run to compare with it.", autocompletion=completion.runs
        ),
    ],
    *,
    form: Annotated[
        Literal["table", "md"],
        typer.Option("--format", "-f", help="Form on stdout.", envvar=variable("compare-format")),
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
    page: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Also write a page with both side by side.",
            envvar=variable("html"),
        ),
    ] = None,
    as_json: AsJson = False,
    screen: Screen,
) -> None:
    """Compare two runs over the pairs that both scored: difference, interval, wins and losses."""
    from editbench import api
    from editbench.cli import tables

    gates = [api.parse_gate(text) for text in fail_if or ()]
    results = [api.open_result(run, out=out) for run in (a, b)]
    found = api.compare(*results)
    if as_json:
        print_json(found.as_json())
    elif form == "md":
        print(found.to_markdown(), end="")
    else:
        tables.comparison(found, screen.out)
    if not as_json and form == "table":
        for warning in found.warnings:
            say(screen.err, "warning", warning)
    if page:
        _written(screen, lambda: api.write_report(results, page))
    met = [line for gate in gates for line in gate.met(found)]
    if met:
        raise GateFailed("the comparison meets a condition of --fail-if", problems=met)
