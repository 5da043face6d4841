from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from editbench.cli.app import app
from editbench.cli.profiling import SCRIPTS, folder


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_every_profile_has_a_script_that_explains_itself(name: str) -> None:
    command = [sys.executable, "-m", "editbench", "profile", name, "--", "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "usage" in done.stdout


def test_an_unknown_profile_is_answered_with_those_there_are() -> None:
    result = CliRunner().invoke(app, ["profile", "swpa"])
    assert result.exit_code == 2
    assert "schedule" in result.stderr


def test_the_scripts_are_where_they_are_looked_for() -> None:
    assert all((folder() / f"{name}.py").is_file() for name in SCRIPTS)
