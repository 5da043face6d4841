"""Real model classes with a few thousand random weights, and one forward pass for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def transformer(*, layers: int = 2) -> Any:
    """Return a Qwen-Image transformer; its rotary tables are plain complex attributes."""
    import torch
    from diffusers import QwenImageTransformer2DModel

    torch.manual_seed(1)
    return QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=layers,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=(4, 6, 6),
    ).eval()


def denoise(model: Any) -> torch.Tensor:
    """Return what one step of the transformer makes of fixed noise."""
    import torch

    seeded = torch.Generator().manual_seed(2)
    like = next(model.parameters())
    with torch.no_grad():
        out = model(
            hidden_states=torch.randn(1, 16, 16, generator=seeded).to(like),
            encoder_hidden_states=torch.randn(1, 7, 32, generator=seeded).to(like),
            encoder_hidden_states_mask=torch.ones(1, 7, dtype=torch.bool, device=like.device),
            timestep=torch.tensor([0.5]).to(like),
            img_shapes=[[(1, 4, 4)]],
            return_dict=False,
        )
    found: torch.Tensor = out[0]
    return found


def judge() -> Any:
    """Return a Qwen3-VL whose head is tied to its embeddings."""
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    text: Mapping[str, Any] = {
        "vocab_size": 128,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5e6,
            "mrope_section": [4, 2, 2],
            "mrope_interleaved": True,
        },
    }
    vision: Mapping[str, Any] = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": 32,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    }
    torch.manual_seed(3)
    config = Qwen3VLConfig(
        text_config=dict(text),
        vision_config=dict(vision),
        tie_word_embeddings=True,
        image_token_id=120,
        video_token_id=121,
        vision_start_token_id=122,
        vision_end_token_id=123,
    )
    return Qwen3VLForConditionalGeneration(config).eval()


def score(model: Any) -> torch.Tensor:
    """Return the judge's logits for a fixed image of four patches and six words."""
    import torch

    seeded = torch.Generator().manual_seed(4)
    like = next(model.parameters())
    ids = torch.tensor([[5, 122, 120, 123, 9, 17]], device=like.device)
    with torch.no_grad():
        out = model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=torch.randn(4, 3 * 2 * 16 * 16, generator=seeded).to(like),
            image_grid_thw=torch.tensor([[1, 2, 2]], device=like.device),
            mm_token_type_ids=(ids == 120).int(),
            use_cache=False,
        )
    found: torch.Tensor = out.logits
    return found
