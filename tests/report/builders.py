"""Outcomes and items for the tests of this room."""

from __future__ import annotations

import json
from typing import Any

from editbench.records import Edit, Failure, Outcome, Pair, Reply, State, Verdict
from editbench.report.items import to_line

META = {
    "run": "kris_tiny",
    "suite": "kris",
    "editor": "tiny/qwen-image-edit",
    "judge": "tiny/qwen3-vl",
    "notes": ["scores mean nothing"],
    "scale": [0, 10],
}


def pair(number: int = 1, *, category: str = "physical", instruction: str = "make it red") -> Pair:
    return Pair(f"p{number}", category, instruction, sources=(), extra={"level": 2})


def scored(overall: float, number: int = 1, **about: str) -> Outcome:
    reply = Reply(f'{{"overall": {overall}}}')
    edit = Edit("e:1", "abc", 64, 48, 900, 1.5)
    verdict = Verdict("ok", {"follows": overall, "quality": 7.0}, overall, "looks right")
    return Outcome(pair(number, **about), verdict, edit, reply, 0.25)


def unparsable(number: int = 1, *, raw: str = "no score", **about: str) -> Outcome:
    verdict = Verdict("unparsable", message="no JSON in the reply")
    edit = Edit("e:1", "abc", 64, 48, 900, 1.5)
    return Outcome(pair(number, **about), verdict, edit, Reply(raw), 0.25)


def failed(
    number: int = 1, *, state: State = "edit_failed", message: str = "too large", **about: str
) -> Outcome:
    failure = Failure(state, "OutOfMemory", message, attempts=2)
    return Outcome(pair(number, **about), Verdict(state), failure=failure)


def item(outcome: Outcome) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(to_line(outcome))
    return value
