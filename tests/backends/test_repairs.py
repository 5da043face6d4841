from __future__ import annotations

from pathlib import Path

import torch

from editbench.backends import pipelines, repairs, tiny

from .pictures import noise


def test_image_tokens_get_their_places_back(built: Path) -> None:
    pipeline = pipelines.read(tiny.checkpoint("tiny/qwen-image-edit"), dtype=torch.float32)
    encoder = pipeline.text_encoder
    prompt = pipeline.prompt_template_encode.format("make the sky red")
    full = dict(pipeline.processor(text=[prompt], images=[noise(1)], return_tensors="pt"))
    forgetful = {name: value for name, value in full.items() if name != "mm_token_type_ids"}

    def states(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        with torch.no_grad():
            return encoder(**inputs, output_hidden_states=True).hidden_states[-1]  # type: ignore[no-any-return]

    right = states(full)
    assert not torch.equal(states(forgetful), right)
    assert repairs.mark_image_tokens(encoder)
    assert torch.equal(states(forgetful), right)
    assert torch.equal(states(full), right)


def test_modules_that_know_no_images_are_left_alone(built: Path) -> None:
    pipeline = pipelines.read(tiny.checkpoint("tiny/flux-kontext"), dtype=torch.float32)
    assert not repairs.mark_image_tokens(pipeline.text_encoder)
    assert not pipeline.text_encoder._forward_pre_hooks
