"""Where a run's configuration comes from: files, environment and flags, or an earlier run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from editbench import config as configs
from editbench.backends import registry
from editbench.config import RunConfig
from editbench.errors import ConfigError, EditbenchError, ResultError
from editbench.report.result import RunResult

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
    return checked(
        file.name if file else "the configuration",
        _project_settings(),
        configs.read_file(file) if file else {},
        configs.nest(map(configs.parse_setting, named)),
        configs.nest(map(configs.parse_setting, settings)),
        overrides or {},
    )


def config_of(
    result: RunResult,
    *,
    settings: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
) -> RunConfig:
    """Return the configuration that a run was made with, so that running it continues that run.

    ``settings`` and ``overrides`` are laid over it. Raises ``ResultError``, ``ConfigError``.
    """
    if not result.settings:
        raise ResultError(f"{result.folder} has no run.toml", hint="editbench list shows the runs")
    here = {"run": {"name": result.name, "out": str(result.folder.resolve().parent)}}
    return checked(
        f"the run.toml of {result.name}",
        configs.merge(result.settings, here),
        configs.nest(map(configs.parse_setting, settings)),
        overrides or {},
    )


def checked(name: str, *layers: Mapping[str, Any]) -> RunConfig:
    """Return the configuration that layers of settings make; later ones win.

    Raises ``ConfigError`` about ``name`` with every problem, the plug-ins' own settings included.
    """
    values = configs.layered(*layers)
    config, problems = configs.build(values)
    for kind in _KINDS:
        chosen = values.get(kind)
        if isinstance(chosen, Mapping):
            problems += _backend_problems(kind, chosen)
    for number, observer in enumerate(config.observers if config else ()):
        problems += _problems("observer", observer.use, observer.settings(), f"observers.{number}")
    if problems or config is None:
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
        more = "" if "did you mean" in str(exc) else f"; {exc.hint}" * bool(exc.hint)
        return [f"{at + '.use':<24} {exc}{more}"]
