"""The public Python API: the one place where suites, backends, engine and report meet.

Nothing here prints, exits or configures logging. ``run`` blocks; inside an event loop use
``open_run``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import anyio

from editbench import config as configs
from editbench.assemble import assemble
from editbench.backends import registry
from editbench.config import RunConfig
from editbench.doctor import doctor
from editbench.engine import run as engine
from editbench.engine.events import Event
from editbench.engine.plan import Plan
from editbench.errors import ConfigError, EditbenchError, ResultError
from editbench.report import comparison as comparisons
from editbench.report import files, markdown
from editbench.report.comparison import Comparison
from editbench.report.gate import Gate, parse
from editbench.report.result import RunResult
from editbench.session import OnEvent, Run, open_run

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

_SINGULAR: dict[str, registry.Kind] = {
    "editors": "editor",
    "judges": "judge",
    "observers": "observer",
}
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
    for number, observer in enumerate(config.observers if config else ()):
        problems += _problems("observer", observer.use, observer.settings(), f"observers.{number}")
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
    return _problems(kind, name, own, kind)


def _problems(kind: registry.Kind, name: str, own: Mapping[str, Any], at: str) -> list[str]:
    try:
        return registry.check_settings(kind, name, own, explain=configs.explain, at=at)
    except EditbenchError as exc:
        return [f"{at + '.use':<24} {exc}"]


def plan(config: RunConfig, *, on_event: OnEvent | None = None) -> Plan:
    """Return what ``run`` would do. Reads the suite and the store; loads no model."""
    with assemble(config, emit=on_event or _ignore, lock=False) as assembly:
        return engine.plan_run(assembly.parts)


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


def _ignore(event: Event) -> None:
    pass
