"""The commands that read what runs left: ``show``, ``report`` and ``list``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from editbench.cli import tables
from editbench.cli.commands import Screen
from editbench.cli.messages import say
from editbench.cli.options import variable
from editbench.cli.state import State, decode, fold
from editbench.cli.text import lines, mean_and_margin, plain
from editbench.errors import ResultError

if TYPE_CHECKING:
    from editbench import RunResult

Out = Annotated[
    Path,
    typer.Option("--out", "-o", help="Folder of the runs.", envvar=variable("out")),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
Which = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]", help="A run's folder or its name; without one, the latest run."
    ),
]


class Kind(StrEnum):
    """What can be listed."""

    RUNS = "runs"
    EDITORS = "editors"
    JUDGES = "judges"
    SUITES = "suites"


class Format(StrEnum):
    """Forms of a report."""

    MD = "md"
    JSON = "json"
    CSV = "csv"


def show(
    run: Which = None,
    pair: Annotated[str | None, typer.Argument(help="Id of one pair, to show in full.")] = None,
    *,
    out: Out = Path("runs"),
    as_json: AsJson = False,
    screen: Screen,
) -> None:
    """Show how a run stands, also one still going on, or one pair in full."""
    from editbench.api import open_result

    result = open_result(run, out=out)
    if pair is not None:
        _show_pair(_find(result, pair), screen, as_json=as_json)
    elif as_json:
        _print_json(_status(result))
    else:
        _show_run(result, screen)


def report(
    run: Which = None,
    *,
    form: Annotated[Format, typer.Option("--format", "-f", help="Form.")] = Format.MD,
    to: Annotated[Path | None, typer.Option("--to", help="File to write; else stdout.")] = None,
    out: Out = Path("runs"),
    screen: Screen,
) -> None:
    """Write a finished run's report: Markdown, its items as JSON lines, or a table."""
    from editbench.api import open_result

    result = open_result(run, out=out)
    target = to.open("w", encoding="utf-8", newline="\n") if to else nullcontext(sys.stdout)
    with target as stream:
        if form is Format.MD:
            stream.write(result.to_markdown())
        elif form is Format.CSV:
            result.to_csv(stream)
        else:
            json.dump(_full(result), stream, ensure_ascii=stream is sys.stdout)
            stream.write("\n")
    if to:
        say(screen.err, "written", str(to))


def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.")] = Kind.RUNS,
    *,
    out: Out = Path("runs"),
    as_json: AsJson = False,
    screen: Screen,
) -> None:
    """List runs, or the editors, judges and suites that can be named."""
    rows = _runs(out) if kind is Kind.RUNS else _available(kind)
    if as_json:
        _print_json(rows)
    elif rows:
        screen.out.print(tables.listing(rows, *rows[0]))
    else:
        say(screen.err, "note", f"there are no {kind} in {out}", "editbench run makes one")


def _available(kind: Kind) -> list[dict[str, Any]]:
    from editbench.api import available

    return [dict(row) for row in available(kind.value)]  # type: ignore[arg-type]


def _runs(out: Path) -> list[dict[str, Any]]:
    from editbench.api import list_runs

    return [_run_row(result) for result in list_runs(out)]


def _run_row(result: RunResult) -> dict[str, Any]:
    if not result.finished:
        return dict.fromkeys(("run", "state", "suite", "editor", "judge", "scored", "mean"), "") | {
            "run": result.name,
            "state": "unfinished",
        }
    overall = result.rows()[-1]
    return {
        "run": result.name,
        "state": "finished",
        **{key: result.summary[key] for key in ("suite", "editor", "judge")},
        "scored": f"{overall.n}/{overall.n + overall.failed}",
        "mean": mean_and_margin(overall.mean, overall.margin),
    }


def _state(result: RunResult) -> State | None:
    return fold(event for event in map(decode, result.events()) if event)


def _status(result: RunResult) -> dict[str, Any]:
    state = None if result.finished else _state(result)
    so_far = state and {
        "pairs": state.edit.total,
        "edited": state.edit.finished,
        "scored": state.score.finished,
        "failed": state.failed,
    }
    return {
        "run": result.name,
        "folder": str(result.folder),
        "finished": result.finished,
        "summary": result.summary,
        "so_far": so_far,
    }


def _full(result: RunResult) -> dict[str, Any]:
    if not result.finished:
        raise ResultError(f"{result.name} is not finished", hint="run the same command again")
    return {"run": result.name, "summary": result.summary, "items": list(result.items())}


def _show_run(result: RunResult, screen: Screen) -> None:
    if result.finished:
        _describe(screen, result.summary, result, "finished")
        screen.out.print(tables.results(result))
        return
    state = _state(result)
    if state is None:
        say(screen.err, "unfinished", f"{result.name} has not begun")
        return
    facts = {"suite": state.suite, "editor": state.editor, "judge": state.judge}
    facts["notes"] = state.notes  # type: ignore[assignment]
    _describe(screen, facts, result, "unfinished")
    screen.out.print(tables.unfinished(state))
    for line in state.lines[-3:]:
        screen.out.print(Text(plain(f"{line.what:<8}{line.text}")), soft_wrap=True)


def _describe(screen: Screen, facts: Mapping[str, Any], result: RunResult, status: str) -> None:
    shown = {"run": f"{result.name}  ({status})", "folder": result.folder}
    shown |= {name: facts[name] for name in ("suite", "editor", "judge") if name in facts}
    for name, value in shown.items():
        screen.out.print(Text(f"{name:<9}{plain(value)}"), soft_wrap=True)
    for note in facts.get("notes", ()):
        screen.out.print(Text(f"{'note':<9}{plain(note)}"), soft_wrap=True)
    screen.out.print()


def _find(result: RunResult, pair: str) -> dict[str, Any]:
    for item in result.items():
        if item["id"] == pair:
            return item
    if not result.finished:
        raise ResultError(
            f"{result.name} is not finished, so its pairs cannot be shown yet",
            hint="run the same command again to go on with it",
        )
    raise ResultError(
        f"{result.name} has no pair {pair!r}",
        hint=f"editbench report {result.name} --format csv lists them",
    )


def _show_pair(item: Mapping[str, Any], screen: Screen, *, as_json: bool) -> None:
    if as_json:
        _print_json(item)
        return
    for name, value in item.items():
        if value in (None, "", {}, []):
            continue
        if isinstance(value, Mapping):
            inner = "\n".join(f"{key}: {_short(value[key])}" for key in value)
        else:
            inner = _short(value)
        text = lines(inner)
        text.stylize("bold", 0, 0)
        screen.out.print(Text(f"{name}", style="bold"), soft_wrap=True)
        for line in text.split("\n"):
            screen.out.print(Text("  ") + line, soft_wrap=True)


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=1))
