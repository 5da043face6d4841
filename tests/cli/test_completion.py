"""Tab in real shells: bash by calling what it would call, zsh at a prompt of its own."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runs import pairs

ROOT = Path(__file__).parents[2]
BASH = """
source ~/.bashrc
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
COMP_LINE="$*"
COMP_POINT=${#COMP_LINE}
$(complete -p editbench | sed 's/.*-F \\([^ ]*\\).*/\\1/') editbench
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two runs, a suite with categories in Chinese, and ``editbench`` on the path."""
    for name in ("kris_first", "kris_second"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.toml").write_text("")
    pairs(tmp_path / "suite", ["a", "b", "c", "d"])
    program = tmp_path / "bin" / "editbench"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom editbench.cli.app import main\nmain()\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    return tmp_path


def install(shell: str) -> None:
    """Install the completion as a user does."""
    command = ["editbench", "--install-completion", shell]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{shell} completion installed in" in done.stdout


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("editbench res", ["resume"]),
        ("editbench show kris_", ["kris_first", "kris_second"]),
        ("editbench compare kris_first kris_s", ["kris_second"]),
        ("editbench run --edi", ["--editor"]),
        ("editbench run --editor di", ["diffusers"]),
        ("editbench run -j tr", ["transformers"]),
        ("editbench run -b de", ["demo"]),
        ("editbench run -c ref", ["referential"]),
        ("editbench run -b suite -c 物", ["物理"]),
        ("editbench run -b nowhere -c x", []),
        ("editbench cache pr", ["prune"]),
    ],
)
def test_bash_offers(place: Path, line: str, offered: list[str]) -> None:
    install("bash")
    command = ["bash", "--norc", "-c", BASH, "bash", *line.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == offered, done.stderr


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("editbench show kris_f", "kris_first"),
        ("editbench run --editor di", "diffusers"),
        ("editbench run -b suite -c 物", "物理"),
    ],
)
def test_zsh_completes(place: Path, line: str, shown: str) -> None:
    install("zsh")
    with (place / ".zshrc").open("a") as file:
        file.write("\nPS1='READY> '\n")
    child, terminal = pty.fork()
    if not child:
        os.execvp("zsh", ["zsh", "-d", "-i"])
    try:
        wait_for("READY> ", terminal)
        # The first Tab of a session only loads typer's function, which then waits for the next.
        os.write(terminal, f"{line}\t\t".encode())
        wait_for(shown, terminal)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


def wait_for(text: str, terminal: int) -> None:
    """Read what a shell shows until the text is there."""
    seen = b""
    while text.encode() not in seen:
        ready, _, _ = select.select([terminal], [], [], 30)
        assert ready, seen
        seen += os.read(terminal, 4096).replace(b"\a", b"")
