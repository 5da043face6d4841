from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editbench.errors import ConfigError
from editbench.suites.rubrics import Rubric, fill, load_rubric

DEFAULT = load_rubric("default")
OWN = """
formula = "weighted"
scale = [0, 100]
system = "Judge. $criteria"
user = "$images Task: $instruction"
[criteria.done]
ask = "Is it done?"
scale = [1, 5]
weight = 3
[prompts.general.criteria.pretty]
ask = "Is it pretty?"
"""


def rubric(tmp_path: Path, text: str) -> Rubric:
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    return load_rubric(str(path))


@pytest.mark.parametrize(
    ("category", "aspect"),
    [
        ("physical", "physical"),
        ("物理", "physical"),
        ("环境", "environmental"),
        ("Social ", "social"),
        ("因果", "causal"),
        ("指代", "referential"),
        ("style", "realism"),
    ],
)
def test_a_category_is_judged_by_its_own_aspect(category: str, aspect: str) -> None:
    prompt = DEFAULT.prompt(category, "do it", "a thing")
    names = ["reason", "following", "preservation", "quality", aspect]
    assert list(prompt.contract["properties"]) == prompt.contract["required"] == names
    assert f"- {aspect} (0 to 10): " in prompt.system
    assert f'For "{aspect}"' in prompt.system


def test_the_contract_is_a_closed_schema() -> None:
    contract = DEFAULT.prompt("physical", "do it").contract
    assert contract["additionalProperties"] is False
    assert contract["properties"]["reason"] == {"type": "string", "maxLength": 120}
    assert contract["properties"]["quality"] == {"type": "integer", "minimum": 0, "maximum": 10}


@given(st.text(), st.text())
def test_words_of_a_pair_come_through_as_they_are(instruction: str, description: str) -> None:
    prompt = DEFAULT.prompt("physical", instruction, description)
    assert f"<instruction>{instruction.strip()}</instruction>" in prompt.user or not (
        instruction.strip()
    )
    assert description.strip() in prompt.user
    assert prompt.system == DEFAULT.prompt("physical", "something else").system


@pytest.mark.parametrize("words", ["{x}", "{}", "$instruction", "$5", "$$", "${focus}", "%s \\1"])
def test_words_are_never_read_as_a_template(words: str) -> None:
    prompt = DEFAULT.prompt("physical", words, words)
    assert prompt.user.count(words) == 2


def test_an_empty_description_leaves_no_line_behind() -> None:
    assert "source_shows" not in DEFAULT.prompt("physical", "do it").user
    assert "source_shows" in DEFAULT.prompt("physical", "do it", "a thing").user


def test_the_judge_is_told_which_image_is_which() -> None:
    one, three = (DEFAULT.prompt("physical", "do it", sources=count).user for count in (1, 3))
    assert "Image 1 is the source. Image 2, the last, is the edited image." in one
    assert "Images 1 to 3 are the sources" in three and "Image 4, the last" in three


def test_an_unchanged_image_does_not_pass_by_default() -> None:
    values = {"following": 0, "preservation": 10, "quality": 10, "physical": 10}
    assert DEFAULT.overall("physical")(values) == 0


@given(st.lists(st.integers(0, 10), min_size=4, max_size=4))
def test_the_overall_score_stays_on_the_scale(numbers: list[int]) -> None:
    names = ("following", "preservation", "quality", "realism")
    overall = DEFAULT.overall("any")(dict(zip(names, numbers, strict=True)))
    assert min(numbers) <= overall <= max(numbers)


def test_an_own_rubric_brings_its_scales_and_weights(tmp_path: Path) -> None:
    own = rubric(tmp_path, OWN)
    assert own.name == "own"
    properties = own.prompt("x", "do it").contract["properties"]
    assert properties["done"] == {"type": "integer", "minimum": 1, "maximum": 5}
    assert properties["pretty"] == {"type": "integer", "minimum": 0, "maximum": 100}
    assert own.overall("x")({"done": 5, "pretty": 0}) == 75
    assert own.overall("x")({"done": 1, "pretty": 100}) == 25


@pytest.mark.parametrize(
    ("formula", "overall"), [("mean", 50), ("min", 0), ("geometric", 0), ("weighted", 75)]
)
def test_every_formula_is_on_the_scale_of_the_rubric(
    tmp_path: Path, formula: str, overall: float
) -> None:
    own = rubric(tmp_path, OWN.replace("weighted", formula))
    assert own.overall("x")({"done": 5, "pretty": 0}) == overall


def problems(tmp_path: Path, text: str) -> Any:
    with pytest.raises(ConfigError) as caught:
        rubric(tmp_path, text)
    return caught.value.problems


def test_every_problem_of_a_rubric_is_listed(tmp_path: Path) -> None:
    text = OWN.replace('"weighted"', '"median"').replace("[1, 5]", "[5, 1]")
    text = text.replace("$images", "$pictures").replace("weight = 3", "wieght = 3")
    found = problems(tmp_path, "colour = 1\n" + text)
    assert found == (
        "formula: input should be 'mean', 'min', 'geometric' or 'weighted', got 'median'",
        "user: unknown $pictures; known are $criteria, $description, $focus, $images, $instruction",
        "criteria.done.scale: a scale goes from low to high, got [5, 1]",
        "criteria.done.wieght: unknown setting",
        "colour: unknown setting",
    )


def test_every_gap_of_a_rubric_is_listed(tmp_path: Path) -> None:
    text = """
    formula = "mean"
    user = "$instruction"
    [prompts.a]
    categories = ["x", "y"]
    [prompts.b]
    categories = ["Y"]
    system = "s"
    [prompts.b.criteria.reason]
    ask = "why?"
    """
    assert problems(tmp_path, text) == (
        "no [prompts.general]",
        "prompts.a has no system, nor has the rubric",
        "prompts.a has no criteria",
        "prompts.b: a criterion cannot be called reason",
        "prompts.b: the category 'y' belongs to a",
    )


@pytest.mark.parametrize("text", ["Pay $", "$1", "a $ b"])
def test_a_lone_dollar_sign_in_a_template_is_a_problem(tmp_path: Path, text: str) -> None:
    (problem,) = problems(tmp_path, OWN.replace("Judge.", text))
    assert problem.startswith("system: a $ must be followed by a name")


def test_a_missing_or_broken_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no rubric"):
        load_rubric(str(tmp_path / "gone.toml"))
    with pytest.raises(ConfigError, match="cannot read the rubric"):
        rubric(tmp_path, "formula = ")


def test_a_line_without_its_value_is_left_out() -> None:
    assert fill("a\n$x b\n\nc $$5 ${y}\n", {"x": "", "y": "$x"}) == "a\n\nc $5 $x"
