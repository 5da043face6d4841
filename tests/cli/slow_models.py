"""An editor of as many seconds as the environment says, a quick judge, and much to say for both."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from editbench.engine.protocols import EditRequest, Question, Stop
from editbench.errors import Stopped
from editbench.records import Reply
from editbench.testing import ScriptedEditor, ScriptedJudge

if TYPE_CHECKING:
    from PIL.Image import Image

SECONDS = "SLOW_SECONDS"  #: variable: what an edit takes, in steps of a fiftieth of a second
CHATTER = "chatter of a library"


class Settings(BaseModel):
    """Nothing can be set."""

    model_config = ConfigDict(extra="forbid")


def chat() -> None:
    """Print where a display may be, in every way there is."""
    print(CHATTER)
    print(CHATTER, file=sys.stderr)
    os.write(1, f"{CHATTER}\n".encode())
    os.write(2, f"{CHATTER}\n".encode())


class Editor(ScriptedEditor):
    """Takes its time and looks at ``stop`` between two steps."""

    Settings: ClassVar[type[BaseModel]] = Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(footprint=1000)

    def edit(self, requests: Sequence[EditRequest], *, stop: Stop) -> list[Image]:
        chat()
        end = time.monotonic() + float(os.environ[SECONDS])
        while time.monotonic() < end:
            time.sleep(0.02)
            if stop():
                raise Stopped("stopped between two steps")
        return super().edit(requests, stop=stop)


class Judge(ScriptedJudge):
    """Says something before every answer."""

    Settings: ClassVar[type[BaseModel]] = Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(footprint=1000)

    def ask(self, questions: Sequence[Question], *, stop: Stop) -> list[Reply]:
        chat()
        return super().ask(questions, stop=stop)


print(CHATTER)
