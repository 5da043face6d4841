"""The report as one HTML page that needs nothing else: no server, no network, no framework."""

from __future__ import annotations

import base64
import hashlib
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from editbench.records import Json
from editbench.report import charts, timeline
from editbench.report.comparison import OVERALL, SAME, Comparison
from editbench.report.gallery import FAILED, Told
from editbench.report.provenance import determinants
from editbench.report.summary import margin
from editbench.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from jinja2 import Environment

    from editbench.report.result import RunResult

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  #: of runs side by side


class Point(NamedTuple):
    """A pair's scores in two runs."""

    id: str
    a: float
    b: float


def render(
    results: Sequence[RunResult],
    told: Sequence[Told],
    comparisons: Sequence[Comparison],
    *,
    cards: Sequence[Mapping[str, Json]],
    pictures: Iterable[str],
    folder: bool,
    notes: Sequence[str] = (),
) -> Iterator[str]:
    """Yield the page in parts; pictures come last, since they are most of it.

    ``pictures`` are base64 WebP, or paths beside the page if ``folder``. The page forbids itself
    every request but for those.
    """
    pages = _environment()
    scale = charts.Scale(*results[0].summary["scale"])
    runs = [_run(*one) for one in zip(LETTERS, results, told, strict=False)]
    css, script = (_asset(name) for name in ("page.css", "page.js"))
    shown = {card["id"] for card in cards}
    page = pages.get_template("page.html")
    yield page.render(
        title=_title(runs),
        policy=_policy(css, script, folder=folder),
        css=_markup(css),
        script=_markup(script),
        version=metadata.version("editbench"),
        scale=scale,
        runs=runs,
        warnings=[*_warnings(runs, several=len(runs) > 1), *notes],
        categories=_categories(runs, told, scale),
        comparisons=[
            _difference(found, letter, told[0], other, shown)
            for letter, found, other in zip(LETTERS[1:], comparisons, told[1:], strict=False)
        ],
        failed=any(run["failed"] for run in runs),
        states=sorted({group.state for run in runs for group in run["failures"]}),
        shown=len(cards),
        data={
            "scale": results[0].summary["scale"],
            "runs": [run["name"] for run in runs],
            "letters": [run["letter"] for run in runs],
            "total": len(set().union(*(one.worst for one in told))),
            "folder": folder,
            "pairs": cards,
        },
    )
    for line in pictures:
        yield f"{line}\n"
    yield pages.get_template("end.html").render()


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("editbench.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    pages.filters |= {
        "number": lambda value: "-" if value is None else f"{value:.2f}",
        "signed": lambda value: f"{value:+.2f}",
        "short": lambda value: f"{value:g}",
        "percent": lambda share: "-" if share is None else f"{round(100 * share, 1):g} %",
        "seconds": format_seconds,
        "bytes": format_bytes,
        "date": lambda moment: time.strftime("%Y-%m-%d %H:%M", time.localtime(moment)),
        "words": lambda state: state.replace("_", " "),
        "fragment": lambda text: quote(text, safe="", errors="replace"),
        "said": lambda value: "-" if value is None else str(value),
    }
    return pages


def _asset(name: str) -> str:
    from importlib import resources

    return resources.files(__package__).joinpath("page", name).read_text(encoding="utf-8")


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # our own file


def _policy(css: str, script: str, *, folder: bool) -> str:
    """Allow this style and this script by their hashes, embedded pictures, and nothing else."""
    pictures = "'self' file:" if folder else "data:"
    return (
        f"default-src 'none'; style-src {_source(css)}; script-src {_source(script)}; "
        f"img-src {pictures}; base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _title(runs: Sequence[Mapping[str, Any]]) -> str:
    names = " and ".join(dict.fromkeys(run["editor"] for run in runs))
    return f"{names} on {runs[0]['suite']} - editbench"


def _run(letter: str, result: RunResult, told: Told) -> dict[str, Any]:
    """What the page says of one run."""
    summary, known = result.summary, result.environment
    overall = summary["overall"]
    found = timeline.sessions(result.events())
    plans = [event for event in result.events() if event.get("event") == "plan"]
    spans = [span for session in found for span in session.spans]
    return {
        "letter": letter,
        "name": result.name,
        **{key: summary[key] for key in ("suite", "editor", "judge", "notes")},
        "overall": overall,
        "categories": summary["categories"],
        "margin": margin(overall["mean"], overall["interval"]),
        "failed": overall["pairs"] - overall["n"],
        "failures": told.failures,
        "sessions": found,
        "totals": timeline.totals(found),
        "seconds": sum(session.seconds for session in found),
        "other": sum(session.other() for session in found),
        "swaps": sum(span.lane == "swap" and "→" in span.label for span in spans),
        "plan": plans[0] if plans else None,
        "date": known.get("written", "")[:10],
        "command": _command(known.get("command", ())),
        "settings_text": result.settings_text,
        "determinants": determinants(result),
        "machine": known.get("machine", {}),
    }


def _command(words: Sequence[str]) -> str:
    """Return what was typed, without where this machine keeps it."""
    if not words:
        return ""
    program = PurePath(words[0]).name
    return shlex.join(["editbench" if program == "__main__.py" else program, *words[1:]])


def _warnings(runs: Sequence[Mapping[str, Any]], *, several: bool) -> Iterator[str]:
    yield from dict.fromkeys(note for run in runs for note in run["notes"])
    for run in runs:
        if run["failed"]:
            low, high = run["overall"]["bounds"]
            kinds = ", ".join(
                f"{count} {state.replace('_', ' ')}"
                for state, count in run["overall"]["failures"].items()
            )
            yield (
                f"{run['letter'] + ': ' if several else ''}{run['failed']} of "
                f"{run['overall']['pairs']} pairs have no score ({kinds}). "
                f"With them the mean could be anything from {low:.2f} to {high:.2f}."
            )


def _categories(
    runs: Sequence[Mapping[str, Any]], told: Sequence[Told], scale: charts.Scale
) -> list[dict[str, Any]]:
    """Return the lines of the table, grouped: a line for each run that has the category."""
    names = dict.fromkeys(name for run in runs for name in run["categories"])
    groups = [
        {"name": name, "overall": False, "lines": _lines(name, runs, told, scale)} for name in names
    ]
    return [*groups, {"name": OVERALL, "overall": True, "lines": _lines(None, runs, told, scale)}]


def _lines(
    name: str | None, runs: Sequence[Mapping[str, Any]], told: Sequence[Told], scale: charts.Scale
) -> list[dict[str, Any]]:
    """Return a category's line for each run; those of all pairs for None."""
    lines = []
    for run, one in zip(runs, told, strict=True):
        row = run["overall"] if name is None else run["categories"].get(name)
        if row is None:
            continue
        scores = (
            [x for own in one.scores.values() for x in own] if name is None else one.scores[name]
        )
        lines.append(
            {
                "letter": run["letter"],
                "row": row,
                "margin": margin(row["mean"], row["interval"]),
                "failed": row["pairs"] - row["n"],
                "bins": charts.histogram(scores, scale),
            }
        )
    return lines


def _difference(
    found: Comparison, letter: str, first: Told, other: Told, shown: set[str]
) -> dict[str, Any]:
    """What the page says of two runs side by side; points are of the pairs in the gallery."""
    ends = [abs(end) for row in found.rows() for end in (row.difference, *(row.interval or ()))]
    points = [
        Point(pair, score, other.worst[pair])
        for pair, score in first.worst.items()
        if pair in shown and score != FAILED and other.worst.get(pair, FAILED) != FAILED
    ]
    return {
        "a": LETTERS[0],
        "b": letter,
        "comparison": found,
        "reach": max([*ends, SAME]),
        "points": points,
    }
