"""``editbench cache``: what the store holds, whether it is whole, and what of it may go."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from editbench.cli.commands import Screen, command
from editbench.cli.messages import say
from editbench.cli.options import flag
from editbench.cli.reading import AsJson, Out, print_json
from editbench.cli.text import counted, plain
from editbench.errors import ConfigError, StoreError
from editbench.units import format_bytes, parse_seconds

if TYPE_CHECKING:
    from rich.progress import Progress


EXAMPLES = """\
[bold]Examples[/]

editbench cache info

editbench cache verify

editbench cache prune --older-than 30d --dry-run

The store keeps every finished edit and reply, and all runs share it. What a run refers to stays \
until its folder is gone and the store is pruned.
"""
Folder = Annotated[
    Path | None,
    flag("spill-dir", help="The store; else the usual one.", panel="Options", metavar="DIR"),
]
Yes = Annotated[bool, flag("yes", "-y", help="Do not ask.", panel="Options")]

cache = typer.Typer(help="Look after the store that all runs share.", epilog=EXAMPLES)


@cache.callback(invoke_without_command=True)
def _alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@cache.command()
@command
def info(
    *,
    folder: Folder = None,
    out: Out = Path("runs"),
    as_json: AsJson = False,
    screen: Screen,
) -> None:
    """Show the bytes of each kind of record, and of each run."""
    from editbench.api import open_cache
    from editbench.cli import tables

    with open_cache(folder, out=out) as opened:
        usage, runs, unused = opened.usage(), opened.runs(), opened.unused()
        place = opened.folder
    kinds = [{"kind": kind.kind, "records": kind.records, "bytes": kind.bytes} for kind in usage]
    owners: list[dict[str, Any]] = [
        {
            "run": run.folder.name,
            "folder": str(run.folder),
            "edits": run.edits,
            "stored": run.stored,
            "bytes": run.bytes,
            "running": run.holder,
        }
        for run in runs
    ]
    if as_json:
        free = {"records": len(unused.keys), "bytes": unused.bytes}
        print_json({"folder": str(place), "kinds": kinds, "runs": owners, "unused": free})
        return
    total = sum(kind.bytes for kind in usage)
    screen.out.print(f"{plain(place)}  {format_bytes(total)}\n", markup=False, soft_wrap=True)
    screen.out.print(tables.amounts(kinds, "kind", "records", "bytes"))
    if owners:
        screen.out.print()
        rows = [row | {"edits": f"{row['stored']}/{row['edits']}"} for row in owners]
        screen.out.print(tables.amounts(rows, "run", "edits", "bytes", "running"))
    if unused.keys:
        say(
            screen.err,
            "note",
            f"{format_bytes(unused.bytes)} in {counted(len(unused.keys), 'record')} belong to no "
            "run any more",
            "editbench cache prune",
        )


@cache.command()
@command
def verify(*, folder: Folder = None, as_json: AsJson = False, screen: Screen) -> int:
    """Read every record and check every bit. Changes nothing; exit code 4 if one is damaged."""
    from editbench.api import open_cache

    bad = []
    count = size = 0
    with open_cache(folder) as opened:
        total = sum(kind.records for kind in opened.usage())
        with _progress(screen, "reading", total) as progress:
            for finding in opened.check():
                count += 1
                size += finding.bytes
                progress.update(progress.task_ids[0], completed=min(count, total))
                if finding.problem:
                    bad.append(finding)
    if as_json:
        faults = [{"name": one.name, "bytes": one.bytes, "problem": one.problem} for one in bad]
        print_json({"records": count, "bytes": size, "faults": faults})
    else:
        said = f"{counted(len(bad), 'fault')}" if bad else "all of them whole"
        screen.out.print(f"{counted(count, 'record')}, {format_bytes(size)}: {said}")
        for one in bad:
            screen.out.print(f"  {plain(one.name)}  {plain(one.problem)}", markup=False)
    if bad:
        say(screen.err, "note", "what is damaged is made anew when a run next needs it")
    return StoreError.exit_code if bad else 0


@cache.command()
@command
def prune(
    *,
    folder: Folder = None,
    out: Out = Path("runs"),
    older_than: Annotated[
        str | None,
        flag("older-than", help="Only what is older.", panel="Options", metavar="30d"),
    ] = None,
    dry_run: Annotated[
        bool, flag("dry-run", help="Only say what would go.", panel="Options")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
    screen: Screen,
) -> None:
    """Delete the edits and replies that no run refers to. Asks first."""
    from editbench.api import open_cache

    try:
        age = parse_seconds(older_than) if older_than else 0.0
    except ValueError as exc:
        raise ConfigError(f"--older-than: {exc}") from exc
    with open_cache(folder, out=out, to_change=not dry_run) as opened:
        unused = opened.unused(older_than=age)
        if not as_json:
            _tell(screen, unused, opened.runs())
        if unused.keys and not dry_run:
            _confirm(f"Delete {format_bytes(unused.bytes)}?", yes=yes)
            with _progress(screen, "deleting", len(unused.keys)) as progress:
                for done in opened.delete(unused):
                    progress.update(progress.task_ids[0], completed=done)
    if as_json:
        kinds = {kind.kind: {"records": kind.records, "bytes": kind.bytes} for kind in unused.kinds}
        print_json({"deleted": not dry_run, "bytes": unused.bytes, "kinds": kinds})
    elif unused.keys and not dry_run:
        say(screen.err, "freed", format_bytes(unused.bytes))


def _tell(screen: Screen, unused: Any, runs: Iterable[Any]) -> None:
    names = [run.folder.name for run in runs]
    kept = f"{counted(len(names), 'run')} keep theirs: {', '.join(names)}" if names else "no run"
    if not unused.keys:
        say(screen.err, "note", "nothing to delete", kept)
        return
    for kind in unused.kinds:
        screen.out.print(f"{kind.records:>8} {kind.kind:<11} {format_bytes(kind.bytes)}")
    say(screen.err, "note", kept, "runs whose folders were moved or deleted do not count")


@cache.command()
@command
def clear(*, folder: Folder = None, yes: Yes = False, screen: Screen) -> None:
    """Delete everything that is stored: every run would have to start over. Asks first."""
    from editbench.api import open_cache

    with open_cache(folder, to_change=True) as opened:
        size = sum(kind.bytes for kind in opened.usage())
        _confirm(f"Delete all {format_bytes(size)} in {plain(opened.folder)}?", yes=yes)
        opened.clear()
    say(screen.err, "freed", format_bytes(size))


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(f"not confirmed: {question}", hint="--yes confirms it")
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)


@contextmanager
def _progress(screen: Screen, what: str, total: int) -> Iterator[Progress]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown = screen.err.is_interactive
    with Progress(*columns, console=screen.err, transient=True, disable=not shown) as progress:
        progress.add_task(what, total=total)
        yield progress
