"""Tiny checkpoints of vision-language models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from editbench.backends.tiny_tokenizers import (
    CHAT_TEMPLATE,
    qwen_processor,
    qwen_tokenizer,
    save_video_half,
    vision_ids,
)
from editbench.backends.tiny_weights import make_terse, spread

_WIDTH = 32
_SEED = 11  #: of twenty, one with which scores differ most from picture to picture


def qwen25_vl(tokenizer: Any, *, seed: int) -> Any:
    """Return a Qwen2.5-VL model; it is also the text encoder of the Qwen-Image-Edit pipelines."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": _WIDTH,
        "intermediate_size": 2 * _WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 8192,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e6,
            "mrope_section": [2, 3, 3],
        },
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {
        "depth": 2,
        "hidden_size": _WIDTH,
        "intermediate_size": 2 * _WIDTH,
        "num_heads": 2,
        "out_hidden_size": _WIDTH,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [1],
    }
    config = Qwen2_5_VLConfig(
        text_config=text, vision_config=vision, tie_word_embeddings=False, **vision_ids(tokenizer)
    )
    return spread(Qwen2_5_VLForConditionalGeneration(config), seed=seed)


def _qwen25(path: Path) -> None:
    processor = qwen_processor("Qwen2_5_VLProcessor", patch=14)
    _save(path, qwen25_vl(processor.tokenizer, seed=_SEED), processor)
    save_video_half(path, "Qwen2VLVideoProcessor", patch=14)


def _qwen3(path: Path, *, experts: bool) -> None:
    import transformers

    processor = qwen_processor("Qwen3VLProcessor", patch=16)
    tokenizer = processor.tokenizer
    text: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": _WIDTH,
        "intermediate_size": 2 * _WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": not experts,  # as in the small and the large real ones
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5e6,
            "mrope_section": [4, 2, 2],
            "mrope_interleaved": True,
        },
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    if experts:
        text |= {
            "num_experts": 8,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": _WIDTH,
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
        }
    vision = {
        "depth": 2,
        "hidden_size": _WIDTH,
        "intermediate_size": 2 * _WIDTH,
        "num_heads": 2,
        "out_hidden_size": _WIDTH,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    }
    family = "Qwen3VLMoe" if experts else "Qwen3VL"
    config = getattr(transformers, f"{family}Config")(
        text_config=text,
        vision_config=vision,
        tie_word_embeddings=not experts,
        **vision_ids(tokenizer),
    )
    model = getattr(transformers, f"{family}ForConditionalGeneration")(config)
    _save(path, spread(model, seed=_SEED), processor)
    save_video_half(path, "Qwen3VLVideoProcessor", patch=16)


def _llava(path: Path) -> None:
    import transformers
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tokenizer = qwen_tokenizer()
    processor = transformers.LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        image_token="<|image_pad|>",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )
    layers = {
        "hidden_size": _WIDTH,
        "intermediate_size": 2 * _WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    text = transformers.Qwen2Config(
        vocab_size=len(tokenizer),
        num_key_value_heads=1,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        **layers,
    )
    vision = transformers.CLIPVisionConfig(
        image_size=32, patch_size=8, projection_dim=_WIDTH, **layers
    )
    config = transformers.LlavaConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=vision_ids(tokenizer)["image_token_id"],
        vision_feature_select_strategy="default",
        vision_feature_layer=-1,
    )
    model = transformers.LlavaForConditionalGeneration(config)
    _save(path, spread(model, seed=6), processor)


def _save(path: Path, model: Any, processor: Any) -> None:
    from transformers import GenerationConfig

    tokenizer = processor.tokenizer
    model.generation_config = GenerationConfig(
        do_sample=False, pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id
    )
    make_terse(model, tokenizer).save_pretrained(path)
    processor.save_pretrained(path)


BUILDERS: Mapping[str, Callable[[Path], None]] = {
    "tiny/qwen3-vl": partial(_qwen3, experts=False),
    "tiny/qwen3-vl-moe": partial(_qwen3, experts=True),
    "tiny/qwen2.5-vl": _qwen25,
    "tiny/llava": _llava,
}
