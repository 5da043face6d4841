"""A quick editor and judge for pages: every state there is, and text that means harm."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from editbench.engine.protocols import EditRequest, Question, Stop
from editbench.records import Reply
from editbench.testing import ScriptedEditor, ScriptedJudge

if TYPE_CHECKING:
    from PIL.Image import Image

    from editbench.testing.scripted import EditOutcome, JudgeOutcome

HARM = (
    "</script><script>window.harm=1</script><img src=x onerror=window.harm=2>"
    "[/b]\u202e&amp;'\"{{7*7}}"
)
REPLY = f"{HARM} <iframe src=https://example.com></iframe> no score"

EDITS: dict[str, Sequence[EditOutcome] | EditOutcome] = {"no-edit": "error", "refused": "refuse"}
REPLIES: dict[str, Sequence[JudgeOutcome] | JudgeOutcome] = {"cut": "cut", "above": "range"}


class Settings(BaseModel):
    """What sets two runs apart."""

    model_config = ConfigDict(extra="forbid")
    version: int = 1


class Editor(ScriptedEditor):
    """Inverts and tints, fails where ``EDITS`` says so; later versions mirror what is red."""

    Settings: ClassVar[type[BaseModel]] = Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(EDITS, version=settings.version, name=f"painter-{settings.version}")
        self._mirrored = settings.version > 1

    def edit(self, requests: Sequence[EditRequest], *, stop: Stop) -> list[Image]:
        from PIL import ImageOps

        edits = super().edit(requests, stop=stop)
        if self._mirrored and "red" in requests[0].instruction:
            return [ImageOps.mirror(edit) for edit in edits]
        return edits


class Judge(ScriptedJudge):
    """Scores by a hash of what it sees; says ``HARM`` of the pairs whose id has the word."""

    Settings: ClassVar[type[BaseModel]] = Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(REPLIES, version=settings.version, name="critic")

    def ask(self, questions: Sequence[Question], *, stop: Stop) -> list[Reply]:
        replies = super().ask(questions, stop=stop)
        return [_harmful(q, reply) for q, reply in zip(questions, replies, strict=True)]


def _harmful(question: Question, reply: Reply) -> Reply:
    if question.pair_id == "harm-raw":
        return Reply(REPLY, "stop", 9)
    if not question.pair_id.startswith("harm"):
        return reply
    return Reply(json.dumps(json.loads(reply.text) | {"reason": HARM}), "stop", 9)
