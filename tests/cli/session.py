"""A command on a real pseudo-terminal, seen through an emulator."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from tests.cli.emulator import Emulator

#: makes the terminal the one that ctrl-c comes from, and becomes the command
START = (
    "import fcntl, os, sys, termios;"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)
PATIENCE = 90.0  #: seconds until what a test waits for counts as missing


class Session:
    """A running command, its window and its keyboard."""

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        width: int = 80,
        height: int = 24,
    ) -> None:
        self.emulator = Emulator(width, height)
        self._command = [sys.executable, "-c", START, *command]
        self._environ = {**environ, "TERM": "xterm-256color"}
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def __enter__(self) -> Self:
        self._terminal, inside = pty.openpty()
        self._set_size()
        self.modes = termios.tcgetattr(inside)
        self.process = subprocess.Popen(
            self._command,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            env=self._environ,
            start_new_session=True,
        )
        self._inside = inside
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._inside)
        os.close(self._terminal)

    def _set_size(self) -> None:
        screen = self.emulator.screen
        size = struct.pack("HHHH", screen.lines, screen.columns, 0, 0)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)

    def resize(self, width: int, height: int) -> None:
        self.emulator.resize(width, height)
        self._set_size()

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def wait_for(self, seen: Callable[[list[str]], bool]) -> list[str]:
        """Return the screen's rows once they are as wanted."""
        end = time.monotonic() + PATIENCE
        while not seen(rows := self.emulator.rows()):
            assert time.monotonic() < end, "\n".join(["never seen; the screen is:", *rows])
            self._read(0.05)
        return rows

    def wait(self) -> int:
        """Return the exit code once the command has ended; everything it wrote is on the screen."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < end, "\n".join(["still running:", *self.emulator.rows()])
            self._read(0.05)
        while self._read(0.0):
            pass
        return self.process.returncode

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.wait()

    def modes_now(self) -> list[object]:
        return termios.tcgetattr(self._inside)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._terminal], [], [], seconds)[0]:
            return False
        text = self._decoder.decode(os.read(self._terminal, 1 << 16))
        self.emulator.feed(text)
        return True
