"""The public Python API: the one place where suites, backends, engine and report meet.

Nothing here prints, exits or configures logging. ``run`` blocks; inside an event loop use
``open_run``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import anyio

from editbench import config as configs
from editbench.assemble import assemble, store_folder
from editbench.backends import registry
from editbench.config import RunConfig
from editbench.doctor import doctor
from editbench.engine.cache import Cache
from editbench.engine.events import Event
from editbench.engine.lock import holder
from editbench.engine.plan import Plan
from editbench.engine.store import Store
from editbench.engine.timeline import Stretch, timeline
from editbench.engine.wiring import plan_run
from editbench.errors import ResultError, StoreError
from editbench.loading import config_of, load_config
from editbench.report import comparison as comparisons
from editbench.report.album import TOTAL, Where
from editbench.report.comparison import Comparison
from editbench.report.gate import Gate, parse
from editbench.report.result import RunResult
from editbench.reporting import write_page
from editbench.rescoring import reparse, score_config
from editbench.schemas import schema, write_schema
from editbench.session import OnEvent, Run, open_run
from editbench.suites.look import Language, look
from editbench.suites.open import open_suite

__all__ = [
    "Cache",
    "Comparison",
    "Gate",
    "Run",
    "RunConfig",
    "RunResult",
    "Stretch",
    "available",
    "categories",
    "compare",
    "config_of",
    "doctor",
    "list_runs",
    "load_config",
    "open_cache",
    "open_result",
    "open_run",
    "parse_gate",
    "plan",
    "reparse",
    "run",
    "running",
    "schema",
    "score",
    "score_config",
    "timeline",
    "write_report",
    "write_schema",
]

_LOOKS = 10_000  #: pairs that are read to tell which categories there are
_SINGULAR: dict[str, registry.Kind] = {
    "editors": "editor",
    "judges": "judge",
    "observers": "observer",
}


def plan(config: RunConfig, *, on_event: OnEvent | None = None) -> Plan:
    """Return what ``run`` would do. Reads the suite and the store; loads no model."""
    with assemble(config, emit=on_event or _ignore, lock=False) as assembly:
        return plan_run(assembly.parts)


def run(
    config: RunConfig, *, on_event: OnEvent | None = None, ask_again: bool = False
) -> RunResult:
    """Carry a run out and return its result. Blocks. Raises as ``Run.wait`` does.

    ``ask_again`` is as for ``open_run``.
    """

    async def main() -> RunResult:
        async with open_run(config, on_event=on_event, ask_again=ask_again) as opened:
            return await opened.wait()

    try:
        return anyio.run(main)
    except RuntimeError as exc:
        if "asyncio.run() cannot be called" in str(exc) or "Already running" in str(exc):
            raise RuntimeError(
                "editbench.run blocks, so it cannot be used inside a running event loop; "
                "use 'async with editbench.open_run(config)' there"
            ) from exc
        raise


def score(
    result: RunResult,
    *,
    judge: str | None = None,
    rubric: str | Path | None = None,
    settings: Sequence[str] = (),
    name: str | None = None,
    on_event: OnEvent | None = None,
) -> RunResult:
    """Score a run's stored edits with another judge or rubric; return the new run. Edits nothing.

    ``judge`` is a name, or ``name:model``. Blocks, and raises as ``run`` does.
    """
    overrides: dict[str, Any] = {"judge": configs.named_backend(judge) if judge else {}}
    if rubric:
        overrides["judge"]["rubric"] = str(rubric)
    config = score_config(result, settings=settings, overrides=overrides, name=name)
    return run(config, on_event=on_event)


def open_result(folder: str | Path | None = None, *, out: Path = Path("runs")) -> RunResult:
    """Return a run's result: a path, a name below ``out``, or the latest run for None."""
    if folder is None or folder == "latest":
        found = list_runs(out)
        if not found:
            raise ResultError(f"there is no run in {out}", hint="editbench run makes one")
        return found[-1]
    places = [path for path in (out / folder, Path(folder)) if path.is_dir()]
    if places:
        return RunResult(max(places, key=_is_run))  # a folder of another kind comes last
    names = [result.name for result in list_runs(out)]
    near = get_close_matches(str(folder), names, n=3, cutoff=0.5)
    near = near or [name for name in names if str(folder) in name]
    meant = f", did you mean {' or '.join(near)}?" if near else ""
    raise ResultError(
        f"there is no run {str(folder)!r} in {out}{meant}", hint="editbench list shows the runs"
    )


def list_runs(out: Path = Path("runs")) -> list[RunResult]:
    """Return the runs below ``out``, the one written to last at the end."""
    if not out.is_dir():
        return []
    found = [folder for folder in out.iterdir() if _is_run(folder)]
    return [RunResult(folder) for folder in sorted(found, key=_last_written)]


def running(result: RunResult) -> str:
    """Return which process carries a run out now, and since when; empty if none does."""
    return holder(result.folder)


def _is_run(folder: Path) -> bool:
    return (folder / "run.toml").is_file()


def _last_written(folder: Path) -> float:
    return max(path.stat().st_mtime for path in (folder / "run.toml", folder))


@contextmanager
def open_cache(
    folder: Path | None = None, *, out: Path = Path("runs"), to_change: bool = False
) -> Iterator[Cache]:
    """Open the store that runs share, to look after it; without a folder, the usual one.

    Runs below ``out`` count beside those that the store knows of. It is read only unless it is
    ``to_change``. Raises ``StoreError``, also if there is none.
    """
    place = folder or load_config().memory.folder or store_folder()
    if not place.exists():
        raise StoreError(f"there is no store in {place}", hint="a run makes it")
    runs = [run.folder for run in list_runs(out)]
    with Store.open(place, read_only=not to_change) as store:
        yield Cache(store, runs=runs)


def available(kind: Literal["editors", "judges", "suites", "observers"]) -> list[dict[str, str]]:
    """Return what can be named in a run: name, distribution, version and target of each."""
    if kind == "suites":
        own = {
            "name": "demo",
            "distribution": "editbench",
            "version": metadata.version("editbench"),
            "target": "editbench.suites.demo",
        }
        points = metadata.entry_points(group="editbench.suites")
        return [own, *(_point(point) for point in points)]
    return [
        {"name": row[0], "distribution": row[1], "version": row[2], "target": row[3]}
        for row in registry.names(_SINGULAR[kind])
    ]


def categories(suite: str, *, language: Language = "en") -> list[str]:
    """Return the categories of a suite in order of appearance. Raises ``SuiteError``.

    Of a large suite, those of its first pairs.
    """
    opened = open_suite(suite, language=language)
    looked = (look(opened, index).pair.category for index in range(min(len(opened), _LOOKS)))
    return list(dict.fromkeys(filter(None, looked)))


def _point(point: metadata.EntryPoint) -> dict[str, str]:
    distribution = point.dist
    return {
        "name": point.name,
        "distribution": distribution.name if distribution else "",
        "version": distribution.version if distribution else "",
        "target": point.value,
    }


def compare(a: RunResult | str | Path, b: RunResult | str | Path) -> Comparison:
    """Compare two finished runs over the pairs that both scored. Raises ``ResultError``."""
    first, second = (one if isinstance(one, RunResult) else open_result(one) for one in (a, b))
    return comparisons.compare(first, second)


def parse_gate(text: str) -> Gate:
    """Read a condition on a comparison, such as ``drop > 0.2``. Raises ``ConfigError``."""
    return parse(text)


def write_report(
    results: RunResult | Sequence[RunResult],
    path: str | Path | None = None,
    *,
    pictures: Where = "embed",
    picture_bytes: int = TOTAL,
) -> Path:
    """Write ``report.html`` of a finished run, or of several side by side; return where it is.

    It lies in the (last) run's folder unless ``path`` says otherwise. ``picture_bytes`` bounds the
    pictures inside the page; ``pictures="folder"`` puts larger ones into a folder beside it.
    Raises ``ResultError`` for a run that is unfinished, ``MachineError``.
    """
    runs = [results] if isinstance(results, RunResult) else list(results)
    target = Path(path) if path else runs[-1].folder / "report.html"
    write_page(runs, target, pictures=pictures, picture_bytes=picture_bytes)
    return target


def _ignore(event: Event) -> None:
    pass
