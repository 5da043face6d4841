"""Tables on stdout: rich on a terminal, aligned plain text in a file or a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from editbench.cli.progress import Mean
from editbench.cli.state import Category, State
from editbench.cli.text import inert, mean_and_margin, number
from editbench.units import format_bytes

if TYPE_CHECKING:
    from rich.console import Console

    from editbench.api import Comparison, RunResult

LONGEST = 40  #: characters of a setting that two runs do not share


def results(result: RunResult) -> Table:
    """Return a finished run's categories and, set apart, its overall row."""
    rows = result.rows()
    table = lined("category", "n", "mean ± 95%", "failed", "min", "median", "max")
    for row in rows:
        if row is rows[-1]:
            table.add_section()
        table.add_row(
            inert(row.name),
            str(row.n),
            mean_and_margin(row.mean, row.margin),
            str(row.failed),
            *(number(value) for value in (row.min, row.median, row.max)),
        )
    return table


def unfinished(state: State) -> Table:
    """Return how far each category of a run is; means are of its last session's scores."""
    table = lined("category", "edited", "scored", "failed", "mean of new")
    for name, category in state.categories.items():
        table.add_row(*_so_far(name, category, category.mean))
    table.add_section()
    total = state.edit.total
    whole = Category(total, state.edit.finished, state.score.finished, state.failed)
    table.add_row(*_so_far("overall", whole, state.mean))
    return table


def _so_far(name: str, category: Category, mean: Mean) -> list[Any]:
    return [
        inert(name),
        f"{category.edited}/{category.total}",
        f"{category.scored}/{category.total}",
        str(category.failed),
        mean_and_margin(mean.value if mean.n else None, mean.margin),
    ]


def comparison(found: Comparison, console: Console) -> None:
    """Print two runs side by side: categories, the pairs that changed most, what else differs."""
    for letter, name in (("a", found.a), ("b", found.b)):
        console.print(Text.assemble((letter, "bold"), "  ", inert(name)))
    console.print()
    table = lined("category", "pairs", "a", "b", "b - a", "95%", "b wins", "ties", "a wins")
    for row in found.rows():
        if row is found.overall:
            table.add_section()
        ends = " ".join(f"{end:+.2f}" for end in row.interval or ()) or "-"
        style = "bold" if row.clear else ""
        table.add_row(
            inert(row.name),
            str(row.n),
            number(row.a),
            number(row.b),
            Text(f"{row.difference:+.2f}", style=style),
            ends,
            *map(str, (row.wins, row.ties, row.losses)),
        )
    console.print(table)
    if found.changes:
        table = lined("changed most", "a", "b", "b - a")
        for pair in found.changes:
            table.add_row(inert(pair.id), number(pair.a), number(pair.b), f"{pair.difference:+.2f}")
        console.print()
        console.print(table)
    if found.settings:
        rows = [
            {"differs": setting.name, "a": _said(setting.a), "b": _said(setting.b)}
            for setting in found.settings
        ]
        console.print()
        console.print(listing(rows, "differs", "a", "b"))


def _said(value: object) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def listing(rows: Iterable[Mapping[str, object]], *columns: str) -> Table:
    """Return rows of text under their names."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    rows = list(rows)
    for name in columns:
        # Of the first column, names that are to be typed again, nothing is cut.
        longest = max((cell_len(str(row.get(name, ""))) for row in rows), default=0)
        table.add_column(name, overflow="fold", min_width=longest * (name == columns[0]))
    for row in rows:
        table.add_row(*(inert(row.get(name, "")) for name in columns))
    return table


def amounts(rows: Iterable[Mapping[str, object]], *columns: str) -> Table:
    """Return rows of a name and numbers; what is called bytes is shown as a size."""
    table = lined(*columns)
    for row in rows:
        cells = {name: row[name] for name in columns}
        if isinstance(size := cells.get("bytes"), int):
            cells["bytes"] = format_bytes(size)
        table.add_row(*map(inert, cells.values()))
    return table


def lined(first: str, *others: str) -> Table:
    """Return an empty table: words on the left, numbers on the right."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(first, no_wrap=True, overflow="ellipsis")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
