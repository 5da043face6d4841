"""A quick editor and judge with real weights, which note every step in a side file."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from editbench.engine.protocols import EditRequest, Question, Stop
from editbench.records import Reply
from editbench.testing import ScriptedEditor, ScriptedJudge
from tests.crash.points import reach

if TYPE_CHECKING:
    from PIL.Image import Image

NOTES = "CRASH_NOTES"  #: variable that names the side file
CLOCK = "CRASH_CLOCK"  #: variable: seconds that the clock jumps by at the third edit
WEIGHTS = 3_000_000  #: bytes of each model; the device of the tests holds one of them
STEP = 0.004  #: seconds of a step


class Settings(BaseModel):
    """Nothing can be set."""

    model_config = ConfigDict(extra="forbid")


def note(what: str, pair: str) -> None:
    """Append a line that outlives the process: what, which pair, by whom, when."""
    line = f"{what}\t{pair}\t{os.getpid()}\t{time.time()!r}\n"
    file = os.open(os.environ[NOTES], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


class Editor(ScriptedEditor):
    """Inverts and tints."""

    Settings: ClassVar[type[BaseModel]] = Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(footprint=WEIGHTS, weights=True, step=self._work)
        self._count = 0

    def load(self) -> None:
        super().load()
        reach("in load")

    def edit(self, requests: Sequence[EditRequest], *, stop: Stop) -> list[Image]:
        edits = super().edit(requests, stop=stop)
        reach("in edit")
        return edits

    def _work(self, pair: str) -> None:
        note("edit", pair)
        time.sleep(STEP)
        self._count += 1
        if self._count == 3 and CLOCK in os.environ:
            move_clock(float(os.environ[CLOCK]))


class Judge(ScriptedJudge):
    """Scores by a hash of what it sees."""

    Settings: ClassVar[type[BaseModel]] = Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(footprint=WEIGHTS, weights=True, step=self._work)

    def load(self) -> None:
        super().load()
        reach("in load")

    def ask(self, questions: Sequence[Question], *, stop: Stop) -> list[Reply]:
        replies = super().ask(questions, stop=stop)
        reach("in ask")
        return replies

    def _work(self, pair: str) -> None:
        note("score", pair)
        time.sleep(STEP)


def move_clock(seconds: float) -> None:
    """Set this process's idea of the time of day forward or back, as an administrator might."""
    now = time.time
    time.time = lambda: now() + seconds
