from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from editbench.cli.app import app

HEAVY = "torch numpy PIL scipy diffusers transformers accelerate diskcache anyio".split()
COMMANDS = tuple("run plan resume score demo show report compare list doctor init schema".split())
LOADED = f"""
import json, sys
from editbench.cli.app import main
try:
    main()
except SystemExit:
    pass
print(json.dumps([name for name in {HEAVY} if name in sys.modules]))
"""


def test_alone_it_names_three_commands_and_succeeds() -> None:
    result = CliRunner().invoke(app)
    assert result.exit_code == 0
    lines = [line.split()[1] for line in result.stdout.splitlines() if line.startswith("  ")]
    assert lines == ["demo", "init", "plan"]


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert all(f" {name} " in result.stdout for name in COMMANDS)
    assert "Examples" in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0 and "--verbose" in result.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], []])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_a_wrong_command_is_met_with_the_right_one() -> None:
    result = CliRunner().invoke(app, ["rnu"])
    assert result.exit_code == 2 and "run" in result.stderr


def test_the_version_is_printed() -> None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        expected = version("editbench")
    except PackageNotFoundError:
        pytest.skip("editbench is not installed, so it has no version")
    assert CliRunner().invoke(app, ["--version"]).stdout == f"editbench {expected}\n"


def every_command(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, found in group.commands.items():
        if hasattr(found, "commands"):
            yield from every_command(found, f"{path}{name} ")
        else:
            yield f"{path}{name}", found


def test_every_flag_of_every_command_has_its_variable_in_the_help() -> None:
    seen = 0
    for name, found in every_command(typer.main.get_command(app)):
        flags = [p for p in found.params if p.param_type_name == "option" and p.name != "help"]
        if not flags:
            continue  # a script with a --help of its own
        shown = " ".join(CliRunner().invoke(app, [*name.split(), "--help"]).stdout.split())
        for flag in flags:
            seen += 1
            assert str(flag.envvar).startswith("EDITBENCH_"), (name, flag.name)
            assert flag.envvar in shown, (name, flag.name)
    assert seen > 100


def test_no_command_takes_one_name_for_two_flags() -> None:
    for name, found in every_command(typer.main.get_command(app)):
        words = [word for p in found.params if hasattr(p, "opts") for word in p.opts]
        assert len(words) == len(set(words)), name
