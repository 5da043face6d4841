"""A comparison as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from editbench.report.markdown import escape, short

if TYPE_CHECKING:
    from editbench.report.comparison import Comparison, Contrast

MEANING = """\
The difference is b less a over the pairs that both scored, with its 95 % interval (paired \
bootstrap); bold where the interval leaves 0 out."""


def render(comparison: Comparison) -> str:
    """Return a comparison as Markdown."""
    blocks = [
        f"# editbench: {escape(comparison.a)} and {escape(comparison.b)}",
        f"- a: {escape(comparison.a)}\n- b: {escape(comparison.b)}",
        *(f"> **Note:** {escape(warning)}" for warning in comparison.warnings),
        MEANING,
        "\n".join(_table(comparison)),
        *_changes(comparison),
        *_settings(comparison),
    ]
    return "\n\n".join(blocks) + "\n"


def interval(contrast: Contrast) -> str:
    """Return ``-0.31 to +0.12``, or ``-`` where nothing is known."""
    return " to ".join(f"{end:+.2f}" for end in contrast.interval or ()) or "-"


def _table(comparison: Comparison) -> Iterator[str]:
    yield "| category | pairs | a | b | difference | 95 % | b wins | ties | a wins |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for row in comparison.rows():
        cells = [
            escape(row.name),
            str(row.n),
            f"{row.a:.2f}",
            f"{row.b:.2f}",
            f"**{row.difference:+.2f}**" if row.clear else f"{row.difference:+.2f}",
            interval(row),
            *map(str, (row.wins, row.ties, row.losses)),
        ]
        yield f"| {' | '.join(cells)} |"


def _changes(comparison: Comparison) -> Iterator[str]:
    if comparison.changes:
        yield "## Pairs that changed most"
        lines = [
            f"| {change.a:.2f} | {change.b:.2f} | {change.difference:+.2f} | {escape(change.id)} "
            f"| {escape(change.category)} | {short(change.instruction)} |"
            for change in comparison.changes
        ]
        head = "| a | b | difference | pair | category | instruction |"
        yield "\n".join([head, "|---:|---:|---:|---|---|---|", *lines])


def _settings(comparison: Comparison) -> Iterator[str]:
    if comparison.settings:
        yield "## What else differs"
        lines = [
            f"| {escape(setting.name)} | {_said(setting.a)} | {_said(setting.b)} |"
            for setting in comparison.settings
        ]
        yield "\n".join(["| setting | a | b |", "|---|---|---|", *lines])


def _said(value: object) -> str:
    return "-" if value is None else short(str(value))
