"""The report as Markdown. Whatever a suite or a judge wrote is text in it, never markup."""

from __future__ import annotations

import heapq
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from editbench.report.summary import Row, rows

if TYPE_CHECKING:
    from editbench.report.result import RunResult

SHOWN = 5  #: best and worst pairs
REASONS = 20  #: kinds of failure listed one by one
LONGEST = 160  #: characters of a quoted text


def render(result: RunResult, *, run: str = "") -> str:
    """Return ``report.md`` of a finished run. Reads its items once."""
    summary = result.summary
    seen = _look(result.items())
    blocks = [
        f"# editbench: {escape(summary.get('suite', ''))}",
        _header(run or result.name, summary),
        *(f"> **Note:** {escape(note)}" for note in summary.get("notes", ())),
        _categories(summary),
        *_failures(seen, summary["overall"]),
        *_pairs("Worst pairs", sorted(seen.worst, reverse=True)),
        *_pairs("Best pairs", sorted(seen.best, reverse=True)),
        *_settings(result.settings_text),
    ]
    return "\n\n".join(blocks) + "\n"


def escape(text: object) -> str:
    """Return text on one line that Markdown shows as it is: no markup, HTML, cell or line ends."""
    line = " ".join(printable(str(text)).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~#!])", r"\\\1", line)


def printable(text: str) -> str:
    """Return text without the characters that command a terminal or reorder a line."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in text)


@dataclass(slots=True)
class _Seen:
    """What one reading of the items leaves in memory. Earlier pairs win a tie."""

    worst: list[tuple[float, int, Mapping[str, Any]]] = field(default_factory=list)
    best: list[tuple[float, int, Mapping[str, Any]]] = field(default_factory=list)
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)


def _look(items: Iterable[Mapping[str, Any]]) -> _Seen:
    seen = _Seen()
    for number, item in enumerate(items):
        if item["state"] == "ok":
            _keep(seen.worst, (-item["overall"], -number, item))
            _keep(seen.best, (item["overall"], -number, item))
        else:
            seen.failures[item["state"], short(item["error"]["message"])] += 1
    return seen


def _keep(
    heap: list[tuple[float, int, Mapping[str, Any]]], entry: tuple[float, int, Mapping[str, Any]]
) -> None:
    if len(heap) < SHOWN:
        heapq.heappush(heap, entry)
    else:
        heapq.heappushpop(heap, entry)


def _header(run: str, summary: Mapping[str, Any]) -> str:
    overall = summary["overall"]
    facts = {
        "run": run,
        "editor": summary.get("editor", ""),
        "judge": summary.get("judge", ""),
        "pairs": f"{overall['n']} of {overall['pairs']} scored",
    }
    return "\n".join(f"- {name}: {escape(value)}" for name, value in facts.items())


def _categories(summary: Mapping[str, Any]) -> str:
    low, high = summary["scale"]
    lines = [
        f"Scores from {low:g} to {high:g}; the mean with its 95 % interval.",
        "*Could be* is the mean if every failed pair had the worst or the best score.",
        "",
        "| category | scored | failed | mean | median | min | max | could be |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    return "\n".join([*lines, *(f"| {' | '.join(_cells(row))} |" for row in rows(summary))])


def _cells(row: Row) -> Iterator[str]:
    yield escape(row.name)
    yield str(row.n)
    yield str(row.failed)
    yield _number(row.mean) + ("" if row.margin is None else f" ± {row.margin:.2f}")
    for value in (row.median, row.min, row.max):
        yield _number(value)
    yield " to ".join(f"{end:.2f}" for end in row.bounds) or "-"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _failures(seen: _Seen, overall: Mapping[str, Any]) -> Iterator[str]:
    if not overall["failures"]:
        return
    yield "## Failures"
    yield "\n".join(f"- {state}: {count}" for state, count in overall["failures"].items())
    lines = [f"| {count} | {state} | {message} |" for (state, message), count in _top(seen)]
    if (rest := len(seen.failures) - len(lines)) > 0:
        lines.append(f"| | | and {rest} further kinds |")
    yield "\n".join(["| pairs | state | message |", "|---:|---|---|", *lines])


def _top(seen: _Seen) -> list[tuple[tuple[str, str], int]]:
    return sorted(seen.failures.items(), key=lambda entry: (-entry[1], entry[0]))[:REASONS]


def _pairs(title: str, entries: Iterable[tuple[float, int, Mapping[str, Any]]]) -> Iterator[str]:
    lines = [
        f"| {item['overall']:.2f} | {escape(item['id'])} | {escape(item['category'])} "
        f"| {short(item['instruction'])} | {short(item['reason'])} |"
        for _, _, item in entries
    ]
    if lines:
        yield f"## {title}"
        head = ["| score | pair | category | instruction | the judge's reason |"]
        yield "\n".join([*head, "|---:|---|---|---|---|", *lines])


def short(text: str) -> str:
    """Return a quoted text escaped, and cut where it is long."""
    return escape(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")


def _settings(text: str) -> Iterator[str]:
    if text:
        longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
        fence = "`" * max(3, longest + 1)
        yield "## How it was run"
        yield f"{fence}toml\n{text.strip()}\n{fence}"
