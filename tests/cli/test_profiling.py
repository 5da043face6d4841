from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from editbench.cli.app import app
from editbench.cli.profiling import SCRIPTS, folder


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_every_profile_explains_itself_and_takes_the_common_flags(name: str) -> None:
    command = [sys.executable, "-m", "editbench", "profile", name, "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith(f"usage: {name}.py")
    assert len(done.stdout.splitlines()) > 12
    assert {"--quick", "--json", "--only"} <= set(done.stdout.replace("[", "").split())


def test_flags_and_exit_codes_pass_between_the_command_line_and_a_script() -> None:
    command = [sys.executable, "-m", "editbench", "profile", "swap", "--size", "huge"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "argument --size: invalid choice: 'huge'" in done.stderr


def test_the_list_says_what_each_profile_measures() -> None:
    result = CliRunner().invoke(app, ["profile", "--help"])
    assert result.exit_code == 0
    assert all(f" {name} " in result.stdout for name in SCRIPTS)


def test_an_unknown_profile_is_met_with_the_right_one() -> None:
    result = CliRunner().invoke(app, ["profile", "swpa"])
    assert result.exit_code == 2
    assert "swap" in result.stderr.replace("swpa", "")


def test_the_scripts_are_where_they_are_looked_for() -> None:
    assert all((folder() / f"{name}.py").is_file() for name in SCRIPTS)
