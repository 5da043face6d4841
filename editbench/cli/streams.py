"""Keeps a stream to ourselves: what others write to its file descriptor goes elsewhere meanwhile.

Works on the descriptors, so that chatty C libraries and child processes are caught as well.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TextIO

from editbench.cli.terminal import Terminal

FRAME = 1 << 20  #: bytes buffered, so that a frame reaches the terminal in one write


@contextmanager
def kept(descriptor: int, *, to: int, encoding: str, buffering: int) -> Iterator[TextIO]:
    """Send what is written to a descriptor to another, and yield a stream that still reaches it."""
    sys.stdout.flush()
    sys.stderr.flush()
    own = os.dup(descriptor)
    os.dup2(to, descriptor)
    try:
        with open(own, "w", buffering, encoding, errors="replace", closefd=False) as stream:
            yield stream
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(own, descriptor)
        os.close(own)


@contextmanager
def private_stdout() -> Iterator[Callable[[str], object]]:
    """Yield a writer of UTF-8 to stdout, and send what anyone else writes there to stderr."""
    with kept(1, to=2, encoding="utf-8", buffering=1) as stream:
        yield stream.write


class Aside:
    """Where goes what others write to stdout and stderr while the terminal is ours."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def go_on_in(self, path: Path) -> None:
        """Append to a file from here on, after what was written so far. A crash leaves it."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._file.seek(0)
        with path.open("ab") as target:
            shutil.copyfileobj(self._file, target)
            target.flush()
            for descriptor in (1, 2):
                os.dup2(target.fileno(), descriptor)


@contextmanager
def own_terminal(console: Terminal) -> Iterator[Aside | None]:
    """Let only ``console`` write to the terminal that is stderr; what others write is set aside.

    stdout is for ``private_stdout`` to send there. Yields None if the console is no such terminal.
    """
    if not _is_stderr(console):
        yield None
        return
    with tempfile.TemporaryFile() as file:
        handle, coding = file.fileno(), sys.stderr.encoding
        with kept(2, to=handle, encoding=coding, buffering=FRAME) as stream:
            with console.writing_to(stream):
                yield Aside(file)


def _is_stderr(console: Terminal) -> bool:
    try:
        return console.file.fileno() == 2
    except OSError:
        return False  # a test's or a notebook's stream
