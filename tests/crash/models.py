"""A quick editor and judge with real weights, which note every step in a side file."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from editbench.engine.protocols import EditRequest, Part, Question, Stop
from editbench.records import Reply
from editbench.testing import ScriptedEditor, ScriptedJudge
from tests.crash.points import IN_PART, reach

if TYPE_CHECKING:
    from PIL.Image import Image

NOTES = "CRASH_NOTES"  #: variable that names the side file
CLOCK = "CRASH_CLOCK"  #: variable: seconds that the clock jumps by at the third edit
WEIGHTS = 3_000_000  #: bytes of each model; the device of the tests holds one of them
STATE = 50_000  #: bytes
STEP = "CRASH_STEP"  #: variable: seconds of a step
QUICK = "0.004"  #: of them, unless told otherwise


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
        time.sleep(float(os.environ.get(STEP, QUICK)))
        self._count += 1
        if self._count == 3 and CLOCK in os.environ:
            move_clock(float(os.environ[CLOCK]))


class PartedEditor(Editor):
    """The same in parts, none of which the device of the tests holds together with another."""

    state_form = "crash"
    parts = (
        Part("encode", {"text": WEIGHTS // 2, "vae": WEIGHTS // 10}),
        Part("denoise", {"transformer": WEIGHTS}),
        Part("decode", {"vae": WEIGHTS // 10}),
    )

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._sizes = {name: size for part in self.parts for name, size in part.modules.items()}
        self.footprint = sum(self._sizes.values())
        self._modules: dict[str, Any] = {}

    def load(self) -> None:
        import torch

        reach("in load")
        for name, size in self._sizes.items():
            self._modules[name] = torch.nn.Linear(size // 4, 1, bias=False).requires_grad_(False)
            self._modules[name].weight.fill_(1.0)

    def modules(self) -> Mapping[str, Any]:
        return self._modules

    def close(self) -> None:
        super().close()
        self._modules = {}

    def state_bytes(self, width: int, height: int) -> int:
        return STATE

    def run_part(self, part: str, request: EditRequest, state: bytes, *, stop: Stop) -> bytes:
        """Return a state that says what came before it, of a size that has a file of its own."""
        self._begin([request.pair_id], stop)
        self._check(part)
        note(part, request.pair_id)
        time.sleep(float(os.environ.get(STEP, QUICK)))
        reach(IN_PART)
        return f"{state.decode().strip()} {part} {request.pair_id}".encode().ljust(STATE)

    def finish_parts(self, request: EditRequest, state: bytes, *, stop: Stop) -> Image:
        self._check("decode")
        pair = request.pair_id
        assert state.decode().split() == ["encode", pair, "denoise", pair]
        return self.edit([request], stop=stop)[0]

    def _check(self, part: str) -> None:
        (needed,) = [each.modules for each in self.parts if each.name == part]
        for name, size in needed.items():
            assert float(self._modules[name].weight.sum()) == size // 4, name


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
        time.sleep(float(os.environ.get(STEP, QUICK)))


def move_clock(seconds: float) -> None:
    """Set this process's idea of the time of day forward or back, as an administrator might."""
    now = time.time
    time.time = lambda: now() + seconds
