"""What ``show`` and ``list`` print of the runs on disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from editbench.api import list_runs, running
from editbench.cli import tables
from editbench.cli.commands import Screen
from editbench.cli.messages import say
from editbench.cli.state import State, fold
from editbench.cli.text import lines, mean_and_margin, plain
from editbench.engine.events import from_json
from editbench.errors import ResultError

if TYPE_CHECKING:
    from editbench.api import RunResult

#: Of a list of runs. A narrow terminal cuts the last ones off, which the names repeat.
COLUMNS = ("run", "state", "scored", "mean", "suite", "editor", "judge")


def runs(out: Path) -> list[dict[str, str]]:
    """Return a row for each run below a folder."""
    return [dict(zip(COLUMNS, _cells(result), strict=True)) for result in list_runs(out)]


def _cells(result: RunResult) -> tuple[str, ...]:
    if not result.finished or running(result):
        return (result.name, _standing(result), "", "", "", "", "")
    summary, overall = result.summary, result.rows()[-1]
    return (
        result.name,
        "finished",
        f"{overall.n}/{overall.n + overall.failed}",
        mean_and_margin(overall.mean, overall.margin),
        *(summary[key] for key in ("suite", "editor", "judge")),
    )


def status(result: RunResult) -> dict[str, Any]:
    """Return how a run stands, as JSON values."""
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
        "running": running(result),
        "summary": result.summary,
        "so_far": so_far,
    }


def _standing(result: RunResult) -> str:
    if running(result):
        return "running"
    return "finished" if result.finished else "unfinished"


def show_run(result: RunResult, screen: Screen) -> None:
    """Print a run's result, or how far it has come."""
    if result.finished:
        summary = result.summary
        words = [summary[key] for key in ("suite", "editor", "judge")]
        _head(screen, result, _standing(result), words, summary["notes"])
        screen.out.print(tables.results(result))
    elif state := _state(result):
        words = [state.suite, state.editor, state.judge]
        _head(screen, result, _standing(result), words, state.notes)
        screen.out.print(tables.unfinished(state))
        for line in state.lines[-3:]:
            _print(screen, f"{line.what:<8} {line.text}")
        on = f"show {result.name} --follow" if running(result) else f"resume {result.name}"
        say(screen.err, "next", f"editbench {on}")
    else:
        say(screen.err, "unfinished", f"{result.name} has not begun")


def _state(result: RunResult) -> State | None:
    return fold(event for event in map(from_json, result.events()) if event)


def _head(
    screen: Screen, result: RunResult, status: str, words: Iterable[str], notes: Iterable[str]
) -> None:
    names = ("run", "folder", "suite", "editor", "judge")
    values = (f"{result.name}  ({status})", result.folder, *words)
    for name, value in zip(names, values, strict=True):
        _print(screen, f"{name:<9}{value}")
    for note in notes:
        _print(screen, f"{'note':<9}{note}")
    screen.out.print()


def _print(screen: Screen, line: str) -> None:
    screen.out.print(Text(plain(line)), soft_wrap=True)


def find(result: RunResult, pair: str) -> dict[str, Any]:
    """Return a pair's item. Raises ``ResultError`` where there is none."""
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


def show_pair(item: Mapping[str, Any], screen: Screen) -> None:
    """Print everything that is known of one pair; the judge's reply word for word."""
    for name, value in item.items():
        if value in (None, "", {}, []):
            continue
        screen.out.print(Text(name, style="bold"))
        for line in lines(_written(value)).split("\n"):
            screen.out.print(Text("  ") + line, soft_wrap=True)


def _written(value: object) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {_written(inner)}" for key, inner in value.items())
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
