from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editbench.records import Reply, Verdict
from editbench.suites.rubrics import load_rubric
from editbench.suites.verdicts import parse
from tests.suites.builders import shared

RUBRIC = load_rubric("default")
CATEGORY = "physical"
CONTRACT = RUBRIC.prompt(CATEGORY, "x").contract
SOUND: dict[str, Any] = {
    "reason": "The shadow is missing.",
    "following": 8,
    "preservation": 9,
    "quality": 7,
    "physical": 6,
}


def verdict(text: str, finish: Literal["stop", "length", "refused"] = "stop") -> Verdict:
    return parse(Reply(text, finish), CONTRACT, overall=RUBRIC.overall(CATEGORY))


def reply(**changes: Any) -> str:
    values = SOUND | changes
    return json.dumps({name: value for name, value in values.items() if value is not None})


def test_a_sound_reply_is_a_score() -> None:
    found = verdict(reply())
    assert found.state == "ok" and found.message == ""
    assert found.reason == "The shadow is missing."
    assert found.criteria == {"following": 8, "preservation": 9, "quality": 7, "physical": 6}
    assert found.overall == pytest.approx((8 * 9 * 7 * 6) ** 0.25)


@pytest.mark.parametrize(
    "text",
    [
        "\n " + reply() + "\n",
        "```json\n" + reply() + "\n```",
        "\n```json\n" + json.dumps(SOUND, indent=2) + "\n```\n",
        reply(following=8.0),
        json.dumps(dict(reversed(SOUND.items()))),
    ],
)
def test_white_space_a_fence_and_the_order_do_not_matter(text: str) -> None:
    assert verdict(text).overall == verdict(reply()).overall


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8",
        "Score: 8",
        "[8, 9, 7, 6]",
        "null",
        "Sure! " + reply(),
        reply() + "\nI hope this helps.",
        reply() + reply(),
        "```\n" + reply() + "\n```",
        "```json\n" + reply() + "\n```\nDone.",
        "[" + reply() + "]",
        reply(following=None),
        reply(following="8"),
        reply(following=8.5),
        reply(following=True),
        reply(following=[8]),
        reply(reason=None),
        reply(reason=3),
        reply(reason="x" * 121),
        reply(extra=1),
        reply().replace('"following": 8', '"following": NaN'),
        reply().replace('"following": 8', '"following": Infinity'),
        reply().replace('"following": 8', '"following": 1e999'),
        reply().replace('"following": 8', '"following": ' + "9" * 400),
        reply().replace('"following": 8', '"following": ' + "9" * 5000),
        reply().replace('"following": 8', '"following": 8, "following": 3'),
        reply().replace('"', "'"),
        reply()[:-1] + ",}",
        "[" * 100_000,
    ],
)
def test_anything_else_is_unparsable_and_never_a_score(text: str) -> None:
    found = verdict(text)
    assert (found.state, found.overall, dict(found.criteria)) == ("unparsable", None, {})
    assert found.message and "\n" not in found.message


@pytest.mark.parametrize("value", [-1, 11, 100, -1e300])
def test_a_number_outside_the_scale_is_out_of_range(value: float) -> None:
    found = verdict(reply(quality=value))
    assert found.state == "out_of_range" and found.overall is None
    assert found.message == f"quality is {value:g}, outside 0 to 10"


def test_a_refusal_is_no_score_even_with_one_inside() -> None:
    assert verdict(reply(), "refused").state == "refused"


def test_a_reply_that_was_cut_is_truncated_unless_it_is_whole() -> None:
    found = verdict(reply()[:-5], "length")
    assert found.state == "truncated" and found.overall is None
    assert verdict(reply(), "length").state == "ok"


def test_half_a_surrogate_pair_in_the_reason_can_be_written_to_a_file() -> None:
    assert verdict(reply().replace("shadow", "\\ud800")).reason.encode("utf-8")


@given(st.text(max_size=200), st.sampled_from(["stop", "length"]))
def test_arbitrary_text_never_raises_nor_scores(
    text: str, finish: Literal["stop", "length"]
) -> None:
    assert verdict(text, finish).overall is None


@given(st.dictionaries(st.sampled_from(list(SOUND)), st.none() | st.integers(-2, 12) | st.text()))
def test_a_score_is_given_exactly_to_what_keeps_the_contract(values: dict[str, Any]) -> None:
    def sound(values: Mapping[str, Any]) -> bool:
        numbers = [values.get(name) for name in SOUND if name != "reason"]
        reason = values.get("reason")
        return (
            isinstance(reason, str)
            and len(reason) <= 120
            and all(isinstance(number, int) and 0 <= number <= 10 for number in numbers)
        )

    for candidate in (values, SOUND | values):
        assert (verdict(json.dumps(candidate)).state == "ok") == sound(candidate)


@pytest.mark.parametrize("name", ["MagicBrush.SC", "MagicBrush.PQ"])
def test_no_malformed_reply_of_a_real_judge_yields_a_score(name: str) -> None:
    replies = json.loads(shared(f"judge_replies/instructblip/{name}.json").read_text("utf-8"))
    mark = "guess_if_cannot_parse | "
    said = [reply["reasoning"] or "" for reply in replies.values()]
    raw = [text.removeprefix(mark) for text in said if text.startswith(mark)]
    assert len(raw) == {"MagicBrush.SC": 84, "MagicBrush.PQ": 175}[name]
    score = {"type": "integer", "minimum": 0, "maximum": 10}
    lenient = {"type": "object", "properties": {"score1": score, "score2": score}}
    for text in raw:
        for contract in (CONTRACT, lenient):
            found = parse(Reply(text), contract, overall=lambda values: 10.0)
            assert (found.state, found.overall, dict(found.criteria)) == ("unparsable", None, {})
        assert verdict(text, "length").state == "truncated"
