from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from editbench.backends import registry, tiny
from editbench.engine.protocols import EditRequest, Question, Stop, Streaming
from editbench.records import Reply
from editbench.testing import ScriptedEditor, ScriptedJudge, check_editor, check_judge

PLUS = "tiny/qwen-image-edit-plus"  # the same code as its sibling's, and the longest of them
EDITORS = [pytest.param(m, marks=[pytest.mark.slow] * (m == PLUS)) for m in tiny.EDITORS]


@pytest.mark.parametrize("model", EDITORS)
def test_the_diffusers_editor_keeps_every_promise(built: Path, model: str) -> None:
    check_editor(registry.make("editor", "diffusers", {"model": model}))


@pytest.mark.parametrize("model", tiny.JUDGES)
def test_the_transformers_judge_keeps_every_promise(built: Path, model: str) -> None:
    check_judge(registry.make("judge", "transformers", {"model": model}))


def test_the_pillow_editor_keeps_every_promise() -> None:
    check_editor(registry.make("editor", "pillow", {}))


def test_the_scripted_doubles_keep_every_promise() -> None:
    check_editor(ScriptedEditor())
    check_judge(ScriptedJudge(footprint=1 << 16, weights=True))


class Reversing(ScriptedEditor):
    def edit(self, requests: Sequence[EditRequest], *, stop: Stop) -> list[Image.Image]:
        return super().edit(requests, stop=stop)[::-1]


class Greedy(ScriptedEditor):
    def streaming(self, budget: int) -> Streaming:
        return Streaming(held=budget + 1, moved=10)


class Growing(ScriptedEditor):
    def smaller(self) -> dict[str, int]:
        return {'dtype = "fp64"': self.footprint + 1}


class Deaf(ScriptedEditor):
    def edit(self, requests: Sequence[EditRequest], *, stop: Stop) -> list[Image.Image]:
        return super().edit(requests, stop=lambda: False)


class Unsteady(ScriptedEditor):
    def edit(self, requests: Sequence[EditRequest], *, stop: Stop) -> list[Image.Image]:
        later = [replace(request, seed=len(self.calls)) for request in requests]
        return super().edit(later, stop=stop)


class Gray(ScriptedEditor):
    def edit(self, requests: Sequence[EditRequest], *, stop: Stop) -> list[Image.Image]:
        return [image.convert("L") for image in super().edit(requests, stop=stop)]


class Scribbling(ScriptedEditor):
    def edit(self, requests: Sequence[EditRequest], *, stop: Stop) -> list[Image.Image]:
        edits = super().edit(requests, stop=stop)
        requests[0].images[0].putpixel((0, 0), (1, 2, 3))
        return edits


class Talking(ScriptedEditor):
    def load(self) -> None:
        print("loading")  # what a careless plugin does


class Shouting(ScriptedEditor):
    def load(self) -> None:
        os.write(1, b"loading")


class Drifting(ScriptedEditor):
    @property
    def identity(self) -> Mapping[str, Any]:
        return {"loads": self.loads}


class Odd(ScriptedEditor):
    @property
    def identity(self) -> Mapping[str, Any]:
        return {"size": (1, 2)}


@pytest.mark.parametrize(
    ("editor", "promise"),
    [
        (Reversing(), "in the order of the requests"),
        (Greedy(), "keeps to the budget"),
        (Growing(), "smaller settings are smaller"),
        (Deaf(), "Stopped at the next step|stop request is read"),
        (Unsteady(), "the same request gives the same pixels"),
        (Gray(), "RGB"),
        (Scribbling(), "source images stay"),
        (Talking(), "nothing is printed"),
        (Shouting(), "nothing is printed"),
        (Drifting(), "loading does not change its identity"),
        (Odd(), "plain JSON values"),
        (ScriptedEditor(max_batch=0), "max_batch"),
        (ScriptedJudge(), "every member of the Editor protocol"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_a_broken_promise_is_named(editor: Any, promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_editor(editor)


class Muddled(ScriptedJudge):
    def ask(self, questions: Sequence[Question], *, stop: Stop) -> list[Reply]:
        return super().ask(questions, stop=stop)[::-1]


class Forgetful(ScriptedJudge):
    def ask(self, questions: Sequence[Question], *, stop: Stop) -> list[Reply]:
        self._begin([question.pair_id for question in questions], stop)
        return [Reply(f"call {len(self.calls)}") for _ in questions]


@pytest.mark.parametrize(
    ("judge", "promise"),
    [
        (Muddled(), "replies of its questions, in order"),
        (Forgetful(), "the same question gets the same reply"),
        (ScriptedEditor(), "every member of the Judge protocol"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_a_judges_broken_promise_is_named(judge: Any, promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_judge(judge)
