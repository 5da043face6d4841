from __future__ import annotations

import json
from typing import Any

import pytest

from editbench.errors import EditbenchError, NotResident, OutOfMemory, Stopped
from editbench.testing import ScriptedEditor, ScriptedJudge

from .pictures import CONTRACT, go_on, question, request


@pytest.mark.parametrize(
    ("outcome", "error", "state"),
    [
        ("oom", OutOfMemory, None),
        ("error", RuntimeError, None),
        ("stop", Stopped, None),
        ("refuse", EditbenchError, "refused"),
        ("nan", EditbenchError, "edit_invalid"),
    ],
)
def test_an_editor_fails_as_its_script_says_and_then_goes_on(
    outcome: Any, error: type[Exception], state: str | None
) -> None:
    editor = ScriptedEditor([outcome])
    with pytest.raises(error) as caught:
        editor.edit([request()], stop=go_on)
    assert getattr(caught.value, "state", None) == state
    assert editor.edit([request()], stop=go_on)[0].mode == "RGB"
    assert editor.calls == [("pair-0",), ("pair-0",)]


def test_a_script_by_pair_fails_that_pair_only() -> None:
    editor = ScriptedEditor({"pair-1": "error", "pair-2": ["garbage"]})
    for _ in range(3):
        with pytest.raises(RuntimeError):
            editor.edit([request(1)], stop=go_on)
    assert editor.edit([request(2)], stop=go_on)[0].mode == "F"
    assert editor.edit([request(2)], stop=go_on)[0].mode == "RGB"


def test_a_batch_that_does_not_fit_runs_out_of_memory() -> None:
    editor = ScriptedEditor(fits=1, max_batch=2)
    with pytest.raises(OutOfMemory, match="only 1"):
        editor.edit([request(1), request(2)], stop=go_on)
    assert len(editor.edit([request(1)], stop=go_on)) == 1
    with pytest.raises(ValueError, match="at most 2"):
        editor.edit([request(1)] * 3, stop=go_on)


def test_an_edit_depends_on_image_instruction_and_seed() -> None:
    editor = ScriptedEditor()
    requests = [request(1), request(2), request(1, text="other")]
    assert len({image.tobytes() for image in editor.edit(requests, stop=go_on)}) == 3


@pytest.mark.parametrize(
    ("outcome", "finish", "parses"),
    [("cut", "length", False), ("refuse", "refused", False), ("garbage", "stop", False)],
)
def test_a_judge_answers_as_its_script_says(outcome: Any, finish: str, parses: bool) -> None:
    (reply,) = ScriptedJudge([outcome]).ask([question()], stop=go_on)
    assert reply.finish == finish
    with pytest.raises(ValueError):
        json.loads(reply.text)


def test_a_reply_keeps_any_contract_unless_told_to_break_it() -> None:
    contract = {
        "type": "object",
        "properties": {
            "why": {"type": "string", "maxLength": 5},
            "scores": {"type": "array", "items": {"type": "integer", "maximum": 3}, "minItems": 2},
            "kind": {"enum": ["a", "b"]},
            "sure": {"type": "boolean"},
        },
    }
    (reply,) = ScriptedJudge().ask([question(contract=contract)], stop=go_on)
    value = json.loads(reply.text)
    assert list(value) == list(contract["properties"])
    assert len(value["why"]) == 5 and all(0 <= score <= 3 for score in value["scores"])
    assert value["kind"] in "ab" and isinstance(value["sure"], bool)
    (reply,) = ScriptedJudge(["range"]).ask([question()], stop=go_on)
    assert json.loads(reply.text)["quality"] == CONTRACT["properties"]["quality"]["maximum"] + 1


def test_weights_that_are_not_in_place_are_noticed() -> None:
    editor = ScriptedEditor(footprint=400, weights=True)
    editor.load()
    (module,) = editor.modules().values()
    assert module.weight.nbytes == editor.footprint == 400
    editor.edit([request()], stop=go_on)
    module.weight.data[7] = float("nan")
    with pytest.raises(NotResident):
        editor.edit([request()], stop=go_on)


def test_a_step_may_look_in_and_a_stop_is_heard_between_requests() -> None:
    seen: list[str] = []
    editor = ScriptedEditor(step=seen.append)
    with pytest.raises(Stopped):
        editor.edit([request(1), request(2)], stop=lambda: bool(seen))
    assert seen == ["pair-1"]
