"""What a run's folder says of how the run was made: settings, environment, and what happened."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import tomli_w

from editbench.config import RunConfig, with_paths
from editbench.doctor import machine, versions
from editbench.engine.events import Checking, Event, Memory, Moving, Reading
from editbench.records import Json
from editbench.report.files import replaced

_encode = json.JSONEncoder(ensure_ascii=False).encode  # ``dumps`` would make one each time

QUIET = (Checking, Memory, Moving, Reading)  #: readings of a gauge, of no use afterwards


class EventLog:
    """Appends events to ``events.jsonl``. Those from before ``open`` are kept until then."""

    def __init__(self) -> None:
        self._early: list[Event] = []
        self._file: IO[str] | None = None
        self._unflushed = False

    def open(self, path: Path) -> None:
        """Begin to write. A line that a crash cut off is removed first."""
        if path.exists():
            whole = path.read_bytes()
            end = whole.rfind(b"\n") + 1
            if end != len(whole):
                with path.open("r+b") as stream:
                    stream.truncate(end)
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")
        for event in self._early:
            self.write(event)
        self._early.clear()

    def write(self, event: Event) -> None:
        if isinstance(event, QUIET):
            return
        if self._file is None:
            self._early.append(event)
            return
        self._file.write(_encode(event.as_json()) + "\n")
        if not self._unflushed:  # once for all that happens at the same time
            self._unflushed = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._unflushed = False
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def write_settings(folder: Path, config: RunConfig) -> None:
    """Write ``run.toml``: the effective settings, in a form that ``editbench run`` takes."""
    values = with_paths(config.model_dump(mode="json", exclude_none=True))
    memory = values["memory"]
    for name in ("device_budget", "host", "spill"):
        if isinstance(memory.get(name), int):
            memory[name] = f"{memory[name]}B"
        elif isinstance(memory.get(name), float):
            memory[name] = f"{memory[name] * 100:g}%"
    with replaced(folder / "run.toml") as stream:
        stream.write(tomli_w.dumps(values))


def write_environment(folder: Path, described: Mapping[str, Json]) -> None:
    """Write ``env.json``: command, versions and machine, for whoever repeats the run."""
    facts: dict[str, Any] = {
        "written": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        "versions": versions(),
        "machine": machine(),
        **described,
    }
    with replaced(folder / "env.json") as stream:
        json.dump(facts, stream, ensure_ascii=False, indent=1)
        stream.write("\n")
