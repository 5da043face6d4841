"""The public Python API: the one place where suites, backends, engine and report meet.

Nothing here prints, exits or configures logging. ``run`` blocks; inside an event loop use
``open_run``.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.from_thread
import anyio.to_thread

from editbench import config as configs
from editbench.assemble import Assembly, assemble, describe
from editbench.backends import registry
from editbench.config import RunConfig
from editbench.doctor import doctor
from editbench.engine import run as engine
from editbench.engine.events import Event, RunEnded, RunStarted
from editbench.engine.plan import Plan
from editbench.errors import ConfigError, EditbenchError, ResultError, Stopped, StoreFull
from editbench.report import comparison as comparisons
from editbench.report import files, markdown
from editbench.report.comparison import Comparison
from editbench.report.gate import Gate, parse
from editbench.report.result import RunResult
from editbench.runlog import EventLog, write_environment, write_settings
from editbench.units import format_bytes

__all__ = [
    "Comparison",
    "Gate",
    "Run",
    "RunConfig",
    "RunResult",
    "available",
    "compare",
    "doctor",
    "list_runs",
    "load_config",
    "open_result",
    "open_run",
    "parse_gate",
    "plan",
    "run",
    "write_report",
]

OnEvent = Callable[[Event], None]
_KINDS: tuple[Literal["editor", "judge"], ...] = ("editor", "judge")


def load_config(
    file: Path | None = None,
    *,
    settings: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> RunConfig:
    """Return the configuration of a run; later sources win over earlier ones.

    Sources are ``[tool.editbench]`` of ``pyproject.toml``, the run ``file``, the environment
    (``EDITBENCH_SET``, settings separated by newlines), ``settings`` such as
    ``editor.args.num_inference_steps=28``, and ``overrides``, nested mappings. Raises
    ``ConfigError`` that lists every problem, the backends' own settings included.
    """
    environ = os.environ if environ is None else environ
    named = list(filter(None, environ.get("EDITBENCH_SET", "").splitlines()))
    values = configs.layered(
        _project_settings(),
        configs.read_file(file) if file else {},
        configs.nest(map(configs.parse_setting, named)),
        configs.nest(map(configs.parse_setting, settings)),
        overrides or {},
    )
    config, problems = configs.build(values)
    for kind in _KINDS:
        chosen = values.get(kind)
        if isinstance(chosen, Mapping):
            problems += _backend_problems(kind, chosen)
    if problems or config is None:
        name = file.name if file else "the configuration"
        count = f"{len(problems)} problem{'s' * (len(problems) != 1)}"
        raise ConfigError(f"{name} has {count}", problems=problems)
    return config


def _project_settings() -> dict[str, Any]:
    path = Path("pyproject.toml")
    if not path.is_file():
        return {}
    return dict(configs.read_file(path).get("tool", {}).get("editbench", {}))


def _backend_problems(kind: Literal["editor", "judge"], chosen: Mapping[str, Any]) -> list[str]:
    model = configs.EditorConfig if kind == "editor" else configs.JudgeConfig
    own = {key: value for key, value in chosen.items() if key not in model.model_fields}
    name = chosen.get("use", model.model_fields["use"].default)
    if not isinstance(name, str):
        return []
    try:
        return registry.check_settings(kind, name, own, explain=configs.explain)
    except EditbenchError as exc:
        return [f"{kind + '.use':<24} {exc}"]


def plan(config: RunConfig, *, on_event: OnEvent | None = None) -> Plan:
    """Return what ``run`` would do. Reads the suite and the store; loads no model."""
    with assemble(config, emit=on_event or _ignore, lock=False) as assembly:
        return engine.plan_run(assembly.parts)


class Run:
    """A run that is open: its folder is locked and its suite checked."""

    def __init__(self, assembly: Assembly, config: RunConfig, emit: OnEvent) -> None:
        self._assembly = assembly
        self._config = config
        self._emit = emit
        self._execution = engine.Execution(assembly.parts, emit)

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self._assembly.name

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return self._assembly.folder

    def stop(self, *, now: bool = False) -> None:
        """Ask to finish what is on the device and stop; with ``now``, at the next step."""
        self._execution.stop(now=now)

    async def wait(self) -> RunResult:
        """Carry the run out to its end and write the results.

        Raises ``Stopped`` after a stop, and the error that ended the run early if one did; all
        that was finished is stored then, and the same run goes on from it.
        """
        start = time.time()
        self._emit(self._started())
        status: Literal["ok", "failed", "stopped"] = "failed"
        summary: dict[str, Any] = {}
        try:
            try:
                await self._execution.execute()
            except* EditbenchError as group:
                raise self._with_a_way_on(_only(group)) from None
            if self._execution.control.stopping and self._left():
                status = "stopped"
                raise Stopped(f"{self.name} was stopped; everything finished is stored")
            summary = await anyio.to_thread.run_sync(self._write)
            failed = summary["overall"]["pairs"] - summary["overall"]["n"]
            status = "ok" if failed <= self._config.run.max_failures else "failed"
        finally:
            swaps = self._execution.models.swaps
            now = time.time()
            self._emit(RunEnded(now, status, now - start, swaps, summary))
        return RunResult(self.folder)

    def _left(self) -> int:
        work = self._assembly.parts.ledger.work()
        return len(work.missing) + len(work.ready)

    def _with_a_way_on(self, error: EditbenchError) -> EditbenchError:
        """Have a full store say what is safe, what is needed and how to go on."""
        if not isinstance(error, StoreFull):
            return error
        ledger = self._assembly.parts.ledger
        work, total = ledger.work(), len(ledger)
        missing = len(work.missing)
        edited = sum(ledger.is_edited(index) for index in range(total))
        more = [] if self._config.memory.spill is None else ["--spill-budget", "SIZE"]
        command = shlex.join(["editbench", "run", str(self.folder / "run.toml"), *more])
        return StoreFull(
            str(error),
            problems=[
                f"{edited} of {total} edits and {work.done} of {total} scores are stored and safe",
                f"{missing} more edits need about {format_bytes(missing * work.edit_bytes)}",
            ],
            hint=f"{error.hint}; to go on: {command}",
        )

    def _started(self) -> RunStarted:
        parts, ledger = self._assembly.parts, self._assembly.parts.ledger
        return RunStarted(
            time.time(),
            self.name,
            str(self.folder),
            self._assembly.suite.name,
            parts.editor.name,
            parts.judge.name,
            categories=ledger.count(lambda index: True),
            reused_edits=ledger.count(ledger.is_edited),
            reused_scores=ledger.count(ledger.is_scored),
            notes=self._assembly.notes,
        )

    def _write(self) -> dict[str, Any]:
        outcomes = self._assembly.parts.ledger.outcomes()
        return files.write_results(self.folder, outcomes, meta=describe(self._assembly))


@asynccontextmanager
async def open_run(config: RunConfig, *, on_event: OnEvent | None = None) -> AsyncIterator[Run]:
    """Open a run: check the suite, lock the folder, find what is finished. Loads no model.

    ``on_event`` gets every event on the event loop's thread and must not block.
    """
    log = EventLog()
    show = on_event or _ignore

    def emit(event: Event) -> None:
        log.write(event)
        show(event)

    def emit_from_thread(event: Event) -> None:
        anyio.from_thread.run_sync(emit, event)

    manager = assemble(config, emit=emit_from_thread, lock=True)
    assembly = await anyio.to_thread.run_sync(manager.__enter__)
    try:
        log.open(assembly.folder / "events.jsonl")
        write_settings(assembly.folder, config)
        write_environment(assembly.folder, describe(assembly))
        yield Run(assembly, config, emit)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(manager.__exit__, None, None, None)
            log.close()


def run(config: RunConfig, *, on_event: OnEvent | None = None) -> RunResult:
    """Carry a run out and return its result. Blocks. Raises as ``Run.wait`` does."""

    async def main() -> RunResult:
        async with open_run(config, on_event=on_event) as opened:
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


def open_result(folder: str | Path | None = None, *, out: Path = Path("runs")) -> RunResult:
    """Return a run's result: a path, a name below ``out``, or the latest run for None."""
    if folder is None or folder == "latest":
        found = list_runs(out)
        if not found:
            raise ResultError(f"there is no run in {out}", hint="editbench run makes one")
        return found[-1]
    for path in (Path(folder), out / folder):
        if path.is_dir():
            return RunResult(path)
    near = [result.name for result in list_runs(out)]
    known = f"; in {out} there are: {', '.join(near)}" if near else ""
    raise ResultError(f"there is no run {str(folder)!r}{known}", hint="editbench list runs")


def list_runs(out: Path = Path("runs")) -> list[RunResult]:
    """Return the runs below ``out``, the one written to last at the end."""
    if not out.is_dir():
        return []
    found = [folder for folder in out.iterdir() if (folder / "run.toml").is_file()]
    return [RunResult(folder) for folder in sorted(found, key=_last_written)]


def _last_written(folder: Path) -> float:
    return max(path.stat().st_mtime for path in (folder / "run.toml", folder))


def available(kind: Literal["editors", "judges", "suites"]) -> list[dict[str, str]]:
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
        for row in registry.names("editor" if kind == "editors" else "judge")
    ]


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


def write_report(result: RunResult, path: Path | None = None) -> Path:
    """Write a finished run's report as Markdown and return where it is."""
    target = path or result.folder / "report.md"
    with files.replaced(target) as stream:
        stream.write(markdown.render(result, run=result.name))
    return target


def _only(group: BaseExceptionGroup[EditbenchError]) -> EditbenchError:
    """Return the first error of a group; the others came of the same stop."""
    first = group.exceptions[0]
    return _only(first) if isinstance(first, BaseExceptionGroup) else first


def _ignore(event: Event) -> None:
    pass
