"""Sessions of a run in processes of their own, which tests watch and kill.

Processes are forked from one that has imported torch already: that is nearly all of a start's time,
and none of what is tested.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from editbench.engine.store import Store
from tests.crash import models, points
from tests.runs import results

SIZE = (160, 120)
WEIGHT = 2 * SIZE[0] * SIZE[1] * 3  #: bytes that a pair takes in RAM: its source and its edit
IN_FLIGHT = 4
#: Of these bytes the engine gives half to images on their way from decoding to the disk. What is
#: not durable yet holds its share, so a kill can cost IN_FLIGHT edits and no more, whatever the
#: number of pairs that are decoded ahead, on the device, or being encoded.
HOST = 2 * IN_FLIGHT * WEIGHT + WEIGHT // 2
PAIRS = 24
NAME = "trial"  #: the report names its run
PATIENCE = 120.0  #: seconds until a session that hangs fails its test


def _whole_items(text: str) -> None:
    assert len([json.loads(line) for line in text.splitlines()]) == PAIRS


READERS: dict[str, Callable[[str], object]] = {
    "run.toml": tomllib.loads,
    "env.json": json.loads,
    "items.jsonl": _whole_items,
    "summary.json": json.loads,
}
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    [
        *("torch", "numpy", "PIL.Image", "pytest", "pydantic", "typer.main"),
        *("editbench.api", "editbench.cli.running", "editbench.testing", "tests.crash.child"),
    ]
)


class Instant(NamedTuple):
    """When to kill: after an event, at a point inside the process, or just some time later."""

    name: str = ""  #: kind of an event, or one of ``points.NAMES``; empty for the start
    count: int = 1
    later: float = 0.0  #: seconds

    @property
    def inside(self) -> bool:
        return self.name in (*points.NAMES, points.IN_PART)


@dataclass(frozen=True, slots=True)
class Note:
    """One line of the side file: a step that was begun."""

    what: str
    pair: str
    pid: int
    time: float


def write_suite(folder: Path, count: int) -> Path:
    """Write pairs in three categories; every other edit is too large to live in its row."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for n in range(count):
        noise = random.Random(n).randbytes(SIZE[0] * SIZE[1] * 3)
        flat = bytes([n % 256, 90, 160]) * (SIZE[0] * SIZE[1])
        image = Image.frombytes("RGB", SIZE, noise if n % 2 else flat)
        image.save(folder / f"{n}.png", compress_level=1)
        row = {"id": f"pair-{n}", "category": "abc"[n * 3 // count], "source": f"{n}.png"}
        rows.append(row | {"instruction": f"Add hat number {n}."})
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@dataclass
class Place:
    """Where one run lives, with what its sessions announced and did."""

    folder: Path
    suite: Path
    store: Path | None = None
    out: Path | None = None
    batch: int = 1
    editor: str = "Editor"
    device: int = models.WEIGHTS * 5 // 4  #: bytes
    devices: str = "cpu"
    announced: Counter[str] = field(default_factory=Counter)  #: edits, over all sessions
    again: list[str] = field(default_factory=list)  #: edits begun after they were announced
    kills: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.store = self.store or self.folder / "store"
        self.out = self.out or self.folder / "runs"
        plugin = Path(models.__file__)
        text = f"""
            suite.path = "{self.suite}"
            editor.use = "{plugin}:{self.editor}"
            editor.batch = {self.batch}
            judge.use = "{plugin}:Judge"
            judge.batch = {self.batch}
            memory.device = "{self.devices}"
            memory.device_budget = "{self.device}B"
            memory.host = "{HOST}B"
            memory.folder = "{self.store}"
            run.out = "{self.out}"
            run.name = "{NAME}"
        """
        self.file.write_text("\n".join(line.strip() for line in text.splitlines()))

    @property
    def file(self) -> Path:
        return self.folder / "run.toml"

    @property
    def results(self) -> Path:
        assert self.out is not None
        return self.out / NAME

    @property
    def notes_file(self) -> Path:
        return self.folder / "notes"

    def notes(self, what: str = "edit") -> list[Note]:
        """Return the steps that were begun, in order."""
        if not self.notes_file.exists():
            return []
        lines = self.notes_file.read_text().splitlines()
        rows = [line.split("\t") for line in lines]
        return [Note(r[0], r[1], int(r[2]), float(r[3])) for r in rows if r[0] == what]

    def start(
        self,
        *arguments: str,
        instant: Instant | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Session:
        """Begin a session."""
        return Session(self, arguments, instant or Instant(), env or {})

    def killed(self, instant: Instant) -> bool:
        """Carry a session out until the instant. Return False if it ended before that."""
        with self.start(instant=instant) as session:
            if not instant.inside:
                session.until(instant.name, instant.count)
                time.sleep(instant.later)
                session.send(signal.SIGKILL)
            session.read()
        self.check_files()
        self.kills += session.code == -signal.SIGKILL
        assert session.code in (0, -signal.SIGKILL), session.err
        return session.code != 0

    def finish(self, *arguments: str, env: Mapping[str, str] | None = None) -> Session:
        """Carry a session out to its end."""
        with self.start(*arguments, env=env) as session:
            session.read()
        return session

    def outcome(self) -> tuple[Any, bytes, list[str]]:
        """Return all that must be the same as in an undisturbed run."""
        report = (self.results / "report.md").read_bytes()
        for place in (self.store, self.out):  # it repeats the settings
            report = report.replace(bytes(place or self.folder), b"(place)")
        names = sorted(path.name for path in self.results.iterdir())
        return results(self.results), report, names

    def check_files(self) -> None:
        """Fail if a file of the run's folder is there but torn."""
        for name, read in READERS.items():
            path = self.results / name
            if path.exists():
                read(path.read_text())

    def check_store(self) -> None:
        """Fail unless every record in the store is whole and every file has a record."""
        assert self.store is not None
        with Store.open(self.store, read_only=True) as store:
            assert [one for one in store.check() if one.problem] == []

    def check_work(self, *, kills: int | None = None) -> int:
        """Fail if an edit was announced or made more often than the kills excuse.

        Returns how many edits were made a second time.
        """
        kills = self.kills if kills is None else kills
        assert {pair: n for pair, n in self.announced.items() if n > 1} == {}
        assert self.again == []
        made = Counter(note.pair for note in self.notes())
        twice = made.total() - len(made)
        assert twice <= kills * IN_FLIGHT, made
        return twice


class Session:
    """One process of a run. Its events are read as they come."""

    def __init__(
        self, place: Place, arguments: tuple[str, ...], instant: Instant, env: Mapping[str, str]
    ) -> None:
        from tests.crash import child

        self.events: list[dict[str, Any]] = []
        self.code: int | None = None
        self._place = place
        self._before = set(place.announced)
        self._errors = place.folder / "stderr"
        reader, writer = _forks.Pipe(duplex=False)
        command = ["editbench", "run", str(place.file), "--display", "json", *arguments]
        point = (instant.name, instant.count) if instant.inside else ("", 0)
        variables = {models.NOTES: str(place.notes_file), **env}
        self._process = _forks.Process(
            target=child.main, args=(command, variables, writer, str(self._errors), point)
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid
        writer.close()
        self._reader: Connection = reader
        self._lines = os.fdopen(os.dup(reader.fileno()), encoding="utf-8")

    @property
    def err(self) -> str:
        """What the session said to the user."""
        return self._errors.read_text(errors="replace")

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc: object) -> None:
        if exc[0] is not None:
            self.send(signal.SIGKILL)
        self._process.join(PATIENCE)
        if self._process.is_alive():
            self.send(signal.SIGKILL)
            self._process.join()
            raise TimeoutError(f"a session hung: {self.err}")
        self.code = self._process.exitcode
        self._process.close()
        self._lines.close()
        self._reader.close()
        noted = self._place.notes()
        self._place.again += [n.pair for n in noted if n.pid == self.pid and n.pair in self._before]

    def until(self, kind: str, count: int = 1) -> bool:
        """Read events up to the ``count``-th of a kind; False if the session ended before."""
        if not kind:
            return True
        for line in self._lines:
            if self._take(line) == kind:
                count -= 1
            if count == 0:
                return True
        return False

    def read(self) -> None:
        """Read all that is still announced."""
        for line in self._lines:
            self._take(line)

    def count(self, kind: str) -> int:
        return sum(event["event"] == kind for event in self.events)

    def messages(self) -> str:
        """Return the session's notices as one text."""
        return "\n".join(e["message"] for e in self.events if e["event"] == "notice")

    def send(self, number: int) -> None:
        """Send a signal; a process that has ended takes none."""
        if self._process.is_alive():
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(self.pid, number)

    def _take(self, line: str) -> str:
        if not line.endswith("\n"):
            return ""  # cut off by the kill
        event = json.loads(line)
        self.events.append(event)
        if event["event"] == "edit":
            self._place.announced[event["pair"]] += 1
        return str(event["event"])
