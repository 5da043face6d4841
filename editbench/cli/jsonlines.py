"""A run as JSON lines on stdout, and nothing else there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from editbench.engine.events import Event, RunEnded, RunStarted

VERSION = 1  #: of the lines


class JsonLines:
    """Writes each event as one line: the first is ``run.start``, the last ``run.end``."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._started = False
        self._ended = False
        self._waiting: list[dict[str, Any]] = []

    def __call__(self, event: Event) -> None:
        """Take an event."""
        value = {"v": VERSION} | event.as_json()
        if isinstance(event, RunStarted):
            self._started = True
            self._send(value | {"pid": os.getpid()})
            for earlier in self._waiting:
                self._send(earlier)
        elif isinstance(event, RunEnded):
            self._ended = True
            self._send(value)
        elif self._started:
            self._send(value)
        else:
            self._waiting.append(value)

    def tick(self) -> None:
        """Do nothing: whoever reads this has a clock."""

    def close(self, error: BaseException | None) -> None:
        """End what an error cut short."""
        if self._started and not self._ended:
            self._ended = True
            text = f"{type(error).__name__}: {error}" if error else ""
            end = {"v": VERSION, "event": "run.end", "status": "failed", "message": text}
            self._send(end | {"summary": {}})

    def _send(self, value: dict[str, Any]) -> None:
        self._write(json.dumps(value, ensure_ascii=True) + "\n")
