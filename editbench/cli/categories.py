"""The dashboard's table of categories: how far each is, and its mean so far."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from editbench.cli.shapes import Bar, grid, table
from editbench.cli.state import Category, State
from editbench.cli.text import inert, mean_and_margin

BAR = 12  #: columns of a bar


def categories(state: State, width: int, rows: int, *, full: bool) -> Table:
    """Return a table of so many rows, the last one counting those that are hidden."""
    made = table(width)
    made.add_column("category", ratio=1, no_wrap=True, overflow="ellipsis")
    made.add_column("edited", justify="right", no_wrap=True)
    made.add_column("", width=BAR)
    made.add_column("scored", justify="right", no_wrap=True)
    made.add_column("", width=BAR)
    if full:
        made.add_column("failed", justify="right", no_wrap=True)
    new = "mean of new" if state.means_are_new else "mean ± 95%"
    made.add_column(new, justify="right", no_wrap=True, min_width=12)
    named = list(state.categories.items())
    hidden = len(named) - rows
    shown = named[: rows - 1] if hidden else named
    for name, category in shown:
        made.add_row(*_category_cells(name, category, full=full))
    if hidden:
        made.add_row(Text(f"+ {hidden + 1} more", style="dim"))
    return made


def _category_cells(name: str, category: Category, *, full: bool) -> list[RenderableType]:
    return [
        inert(name),
        f"{category.edited}/{category.total}",
        Bar(category.edited, category.total, BAR),
        f"{category.scored}/{category.total}",
        Bar(category.scored, category.total, BAR),
        *([str(category.failed)] if full else []),
        _mean(category),
    ]


def short_categories(state: State, width: int) -> Table:
    """Return only names, scored pairs and means."""
    made = grid(width)
    made.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    made.add_column(justify="right", no_wrap=True)
    made.add_column(justify="right", no_wrap=True)
    for name, category in state.categories.items():
        made.add_row(inert(name), f"{category.scored}/{category.total}", _mean(category))
    return made


def _mean(category: Category) -> str:
    mean = category.mean
    return mean_and_margin(mean.value if mean.n else None, mean.margin)
