"""What the shell offers when Tab is pressed: cheap looks at files, and silence on any error."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import typer

from editbench.errors import EditbenchError

Completer = Callable[[typer.Context, str], list[str]]


def _offering(words: Callable[[typer.Context], Iterable[str]]) -> Completer:
    """Let a function that knows all words complete one that was begun."""

    @functools.wraps(words)
    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            return [word for word in words(ctx) if word.startswith(incomplete)]
        except (EditbenchError, OSError, ValueError):
            return []  # a shell that waits for words has no use for a message

    complete.__annotations__ = {"ctx": typer.Context, "incomplete": str}
    del complete.__wrapped__  # typer would ask for that one's signature
    return complete


@_offering
def runs(ctx: typer.Context) -> Iterable[str]:
    """The names of the runs below ``--out``, the latest first."""
    from editbench.api import list_runs

    return [run.name for run in reversed(list_runs(Path(ctx.params.get("out") or "runs")))]


def _names(kind: Literal["editors", "judges", "observers", "suites"]) -> Completer:
    def words(ctx: typer.Context) -> Iterable[str]:
        from editbench.api import available

        return [row["name"] for row in available(kind)]

    return _offering(words)


editors, judges = _names("editors"), _names("judges")
observers, suites = _names("observers"), _names("suites")


@_offering
def categories(ctx: typer.Context) -> Iterable[str]:
    """The categories of the suite that the flags or the run file name."""
    from editbench.api import categories, load_config

    suite = ctx.params.get("suite")
    language = ctx.params.get("language")
    if suite is None:
        here = Path("run.toml") if Path("run.toml").is_file() else None
        config = load_config(ctx.params.get("file") or here)
        suite, language = config.suite.path, language or config.suite.language
    return categories(suite, language=language or "en")
