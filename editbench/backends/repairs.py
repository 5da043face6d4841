"""Faults of the libraries that silently change results, mended from outside."""

from __future__ import annotations

import inspect
from typing import Any

MM_TOKEN_TYPES = "mm_token_type_ids (diffusers #14194)"


def mark_image_tokens(encoder: Any) -> bool:
    """Tell a vision-language encoder which of its tokens are images, where its caller forgets to.

    Without ``mm_token_type_ids`` transformers 5 gives image tokens the positions of plain text, and
    the Qwen-Image-Edit pipelines do not pass it. Returns whether the encoder is of that kind.
    """
    if "mm_token_type_ids" not in inspect.signature(type(encoder).forward).parameters:
        return False
    encoder.register_forward_pre_hook(_add_token_types, with_kwargs=True)
    return True


def _add_token_types(
    encoder: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    ids = kwargs.get("input_ids")
    if ids is not None and "image_grid_thw" in kwargs and kwargs.get("mm_token_type_ids") is None:
        images = (ids == encoder.config.image_token_id).int()
        videos = (ids == encoder.config.video_token_id).int()
        kwargs["mm_token_type_ids"] = images + 2 * videos
    return args, kwargs
