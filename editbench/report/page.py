"""The report as one HTML page that needs nothing else: no server, no network, no framework."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from editbench.records import Json
from editbench.report import page_facts as facts
from editbench.report.charts import Scale
from editbench.report.comparison import Comparison
from editbench.report.gallery import Told
from editbench.report.page_facts import LETTERS
from editbench.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from jinja2 import Environment

    from editbench.report.result import RunResult


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
    scale = Scale(*results[0].summary["scale"])
    runs = [facts.of_run(*one) for one in zip(LETTERS, results, told, strict=False)]
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
        warnings=[*facts.warnings(runs, several=len(runs) > 1), *notes],
        categories=facts.of_categories(runs, told, scale),
        comparisons=[
            facts.of_difference(found, letter, told[0], other, shown)
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
