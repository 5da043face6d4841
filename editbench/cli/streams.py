"""Keeps a stream to ourselves: what others write to its file descriptor goes elsewhere meanwhile.

Works on the descriptors, so that chatty C libraries and child processes are caught as well.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
    """The lines that others write to stdout and stderr while they are ours.

    They go to a file, which a crash leaves behind with the last words of whatever crashed.
    """

    def __init__(self, path: str) -> None:
        self._file: IO[bytes] = open(path, "rb")
        self._rest = b""

    def lines(self) -> Iterator[str]:
        """Yield what was written since the last call; of a progress bar, its latest state."""
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in whole:
            if text := line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace").strip():
                yield text

    def close(self) -> None:
        self._file.close()


@contextmanager
def own_terminal(console: Terminal) -> Iterator[Aside]:
    """Let only ``console`` write to the terminal that is stderr; what others write is set aside."""
    with ExitStack() as stack:
        handle, path = tempfile.mkstemp(prefix="editbench-", suffix=".out")
        stack.callback(os.unlink, path)
        stack.callback(os.close, handle)
        aside = Aside(path)
        stack.callback(aside.close)
        if _is_stderr(console):
            stream = stack.enter_context(
                kept(2, to=handle, encoding=sys.stderr.encoding, buffering=FRAME)
            )
            stack.enter_context(console.writing_to(stream))
        yield aside


def _is_stderr(console: Terminal) -> bool:
    try:
        return console.file.fileno() == 2
    except OSError:
        return False  # a test's or a notebook's stream
