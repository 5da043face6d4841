"""What a session's process does: the command line, with its output sent where the test reads it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection

from editbench.cli.app import main as cli
from tests.crash import points


def main(
    command: Sequence[str],
    env: Mapping[str, str],
    output: Connection,
    errors: str,
    point: tuple[str, int],
) -> None:
    """Carry a command out as a process of its own would."""
    os.environ.update(env)
    os.dup2(output.fileno(), 1)
    output.close()
    file = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(file, 2)
    os.close(file)
    # The old ones remember where they were in files that are others now.
    sys.stdout, sys.stderr = (open(n, "w", encoding="utf-8", closefd=False) for n in (1, 2))
    points.arm(*point)
    sys.argv = list(command)
    cli()
