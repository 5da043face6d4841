"""What the user is told when something is wrong: what happened, on what, and what to do."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from editbench.cli.text import plain
from editbench.errors import EditbenchError

BUG = 1  #: exit code of an error that is our fault


def first_cause(error: BaseException) -> BaseException:
    """Return what a task group wrapped: the user asked for one thing and is told one thing."""
    while isinstance(error, BaseExceptionGroup):
        ours = error.subgroup(EditbenchError)
        error = (ours or error).exceptions[0]
    return error


class LoggedBug(Exception):
    """An unexpected error, the cause of this one, whose traceback is in a log."""

    def __init__(self, log: Path) -> None:
        super().__init__(str(log))
        self.log = log


def tell(console: Console, error: BaseException, *, verbose: bool) -> int:
    """Print an error and return the exit code it calls for."""
    if not isinstance(error, EditbenchError):
        return _tell_bug(console, error, verbose=verbose)
    say(console, "error", *_error_lines(error))
    if verbose:
        console.print(Text(trace(error)), soft_wrap=True)
    return error.exit_code


def say(console: Console, what: str, first: str, *rest: str) -> None:
    """Print ``what: first`` and further lines, indented."""
    style = {"error": "bold red", "warning": "bold yellow"}.get(what, "bold")
    console.print(Text.assemble((f"{what}: ", style), plain(first)), soft_wrap=True)
    for line in rest:
        console.print(Text(f"  {plain(line)}"), soft_wrap=True)


def trace(error: BaseException) -> str:
    """Return an error's traceback."""
    return "".join(traceback.format_exception(error)).rstrip()


def _error_lines(error: EditbenchError) -> Iterator[str]:
    yield from str(error).splitlines() or [type(error).__name__]
    yield from error.problems
    yield from error.hint.splitlines()


def _tell_bug(console: Console, error: BaseException, *, verbose: bool) -> int:
    log = error.log if isinstance(error, LoggedBug) else None
    cause = first_cause(error.__cause__ or error) if log else error
    if verbose or not log:
        console.print(Text(trace(cause)), soft_wrap=True)
    say(
        console,
        "error",
        f"this is a bug in editbench: {type(cause).__name__}: {cause}",
        f"the traceback is in {log}" if log else "the traceback is above",
        "please report it with the output of: editbench doctor --json",
    )
    return BUG
