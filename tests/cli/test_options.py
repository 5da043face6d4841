from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from editbench.cli.commands import Screen, command
from editbench.cli.options import MEANING, Settings, variable
from editbench.config import RunConfig
from editbench.errors import ConfigError


def parsed(*arguments: str, environ: dict[str, str] | None = None) -> Settings:
    """The settings that a command gets from this command line."""
    seen: list[Settings] = []

    @command
    def probe(settings: Settings, *, screen: Screen) -> None:
        seen.append(settings)

    app = typer.Typer()
    app.command()(probe)
    result = CliRunner().invoke(app, arguments, env=environ)
    assert result.exit_code == 0, result.output
    return seen[0]


def test_every_flag_sets_something_that_exists() -> None:
    names = {field.name for field in fields(Settings)} - {"file", "set", "given"}
    assert MEANING.keys() == names
    for name, convert in MEANING.items():
        value: Any = ["x"] if name in ("pair", "category") else "x"
        for path, _ in convert(value):
            section, _, key = path.rpartition(".")
            model: Any = RunConfig
            for part in filter(None, section.split(".")):
                model = model.model_fields[part].annotation
            assert key in model.model_fields, path


def test_no_flag_sets_nothing() -> None:
    settings = parsed()
    assert settings.overrides() == {} and settings.from_environment() == []


def test_flags_are_nested_as_in_a_run_file() -> None:
    settings = parsed(
        *("-b", "kris.json", "-e", "diffusers:Qwen/Qwen-Image-Edit", "-j", "transformers"),
        *("-n", "3", "-c", "social", "-c", "causal", "--seed", "7", "--skip-bad"),
        *("--host-budget", "8GB", "--spill-dir", "/data", "--item-timeout", "10m"),
    )
    assert settings.overrides() == {
        "suite": {
            "path": "kris.json",
            "limit": 3,
            "category": ["social", "causal"],
            "skip_bad": True,
        },
        "editor": {"use": "diffusers", "model": "Qwen/Qwen-Image-Edit"},
        "judge": {"use": "transformers"},
        "seed": 7,
        "memory": {"host": "8GB", "folder": "/data"},
        "run": {"item_timeout": "10m"},
    }


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("diffusers", {"use": "diffusers"}),
        ("diffusers:Qwen/Qwen-Image-Edit", {"use": "diffusers", "model": "Qwen/Qwen-Image-Edit"}),
        ("my/models.py:Mine", {"use": "my/models.py:Mine"}),
        ("my.package:Mine:large", {"use": "my.package:Mine", "model": "large"}),
    ],
)
def test_a_backend_may_be_ones_own(text: str, meant: dict[str, str]) -> None:
    assert parsed("--editor", text).overrides() == {"editor": meant}


def test_pairs_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("a\n\n 社会-1 \n")
    settings = parsed("--pair", f"@{tmp_path / 'ids'}", "--pair", "z")
    assert settings.overrides() == {"suite": {"pair": ["a", "社会-1", "z"]}}


def test_a_missing_file_of_pairs_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--pair cannot read"):
        parsed("--pair", f"@{tmp_path / 'none'}").overrides()


@pytest.mark.parametrize("name", sorted(MEANING))
def test_every_flag_has_an_environment_variable(name: str) -> None:
    numbers = {"seed", "limit", "retries", "max_failures", "threads"}
    numbers |= {"skip_bad", "fail_fast", "early_scores"}
    value = "1" if name in numbers else "x"
    settings = parsed(environ={variable(name): value})
    assert settings.overrides() == {}
    assert len(settings.from_environment()) == 1


def test_flags_beat_settings_beat_the_environment_beats_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "run.toml"
    file.write_text("seed = 1\n[run]\nretries = 1\nmax_failures = 1\nthreads = 1\nname = 'file'\n")
    environ = {
        "EDITBENCH_SEED": "2",
        "EDITBENCH_RETRIES": "2",
        "EDITBENCH_MAX_FAILURES": "2",
        "EDITBENCH_NAME": "2026",
    }
    config = parsed(
        *(str(file), "--set", "seed=3", "--set", "run.retries=3", "--seed", "4"), environ=environ
    ).load()
    assert config.seed == 4
    assert config.run.retries == 3
    assert config.run.max_failures == 2
    assert config.run.threads == 1
    assert config.run.name == "2026"


def test_settings_in_the_environment_may_hold_spaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDITBENCH_SET", "suite.path=a b.json\nseed=5")
    config = parsed().load()
    assert (config.suite.path, config.seed) == ("a b.json", 5)


def test_all_problems_are_reported_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        parsed("--set", "sed=1", "--set", "run.retries=-1", "--host-budget", "8").load()
    text = "\n".join(caught.value.problems)
    assert "did you mean 'seed'?" in text and "run.retries" in text and "memory.host" in text
