from __future__ import annotations

from typing import Any

import diffusers
import pytest

from editbench.backends import diffusers_calls as calls

KONTEXT = diffusers.FluxKontextPipeline
QWEN = diffusers.QwenImageEditPipeline
PLUS = diffusers.QwenImageEditPlusPipeline
PIX2PIX = diffusers.StableDiffusionInstructPix2PixPipeline


def arguments(pipeline: type, *, size: tuple[int, int] | None = None) -> dict[str, Any]:
    return calls.arguments(
        pipeline,
        calls.resolve(pipeline, {"size": list(size)} if size else {}, tiny=False),
        images=["a", "b"],
        prompts=["p", "q"],
        generators=["g", "h"],
        size=size,
    )


def test_the_classes_known_to_batch_or_to_take_references_exist_and_differ() -> None:
    assert not calls.BATCHES & calls.REFERENCES
    assert all(hasattr(diffusers, name) for name in calls.BATCHES | calls.REFERENCES)


def test_every_argument_that_determines_an_edit_is_resolved() -> None:
    assert calls.resolve(QWEN, {"num_inference_steps": 28}, tiny=False) == {
        "true_cfg_scale": 4.0,
        "negative_prompt": " ",
        "num_inference_steps": 28,
        "max_sequence_length": 512,
        "size": "auto",
    }


def test_guidance_that_is_off_gets_no_negative_prompt() -> None:
    assert "negative_prompt" not in calls.resolve(KONTEXT, {}, tiny=False)
    assert "negative_prompt" not in calls.resolve(PIX2PIX, {}, tiny=False)


def test_turning_guidance_off_takes_the_negative_prompt_away() -> None:
    assert "negative_prompt" not in calls.resolve(QWEN, {"true_cfg_scale": 1.0}, tiny=False)
    assert calls.resolve(KONTEXT, {"true_cfg_scale": 2.0}, tiny=False)["negative_prompt"] == " "


def test_an_own_negative_prompt_stays() -> None:
    assert calls.resolve(QWEN, {"negative_prompt": "blur"}, tiny=False)["negative_prompt"] == "blur"


def test_a_batch_has_one_image_prompt_and_generator_each() -> None:
    got = arguments(QWEN)
    assert (got["image"], got["prompt"], got["generator"]) == (["a", "b"], ["p", "q"], ["g", "h"])
    assert got["negative_prompt"] == [" ", " "]


def test_references_belong_to_one_prompt() -> None:
    got = arguments(PLUS)
    assert (got["image"], got["prompt"], got["generator"]) == (["a", "b"], "p", "g")
    assert got["negative_prompt"] == " "


def test_any_other_pipeline_gets_one_image() -> None:
    got = arguments(diffusers.OmniGenPipeline)
    assert (got["input_images"], got["prompt"]) == ("a", "p")


def test_a_size_is_given_where_the_pipeline_takes_one() -> None:
    assert "width" not in arguments(PIX2PIX, size=(64, 128))
    got = arguments(KONTEXT, size=(64, 128))
    assert (got["width"], got["height"], got["max_area"]) == (64, 128, 64 * 128)


def test_without_a_size_the_pipeline_keeps_its_area() -> None:
    assert arguments(KONTEXT)["max_area"] == 1024**2


def test_the_words_of_editbench_never_reach_the_pipeline() -> None:
    for pipeline in (KONTEXT, QWEN, PLUS, PIX2PIX):
        assert set(arguments(pipeline)) <= set(calls.parameters(pipeline))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("num_inferense_steps", 4, "did you mean 'num_inference_steps'?"),
        ("sise", "auto", "did you mean 'size'?"),
        ("size", "huge", "expected 'source', 'auto' or [width, height]"),
        ("height", 512, "write size ="),
        ("prompt", "x", "editbench sets this itself"),
        ("num_images_per_prompt", 2, "editbench sets this itself"),
        ("utterly_unlike", 2, "FluxKontextPipeline takes no such argument"),
    ],
)
def test_an_argument_that_does_not_suit_is_explained(name: str, value: Any, words: str) -> None:
    (line,) = calls.problems(KONTEXT, {name: value})
    assert line.startswith(f"args.{name} ") and words in line


def test_arguments_that_suit_are_no_problem() -> None:
    args = {"size": [64, 64], "num_inference_steps": 4, "guidance_scale": 2.5, "max_area": 4096}
    assert calls.problems(KONTEXT, args) == []
