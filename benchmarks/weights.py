"""An editor and a judge of real classes at three sizes, filled with random weights where they run.

Nothing is downloaded: the classes are built from their configurations without memory, and their
parameters are made on the device, which takes seconds where a processor would take minutes.
``full`` is Qwen-Image-Edit's transformer and VAE (41.1 GB) and Qwen3-VL-30B-A3B (62.1 GB), ``half``
has half their layers, ``tiny`` is a few megabytes, with the judge's head tied to its embeddings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch.nn import Module

Modules = Mapping[str, "Module"]
Inputs = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Size:
    """How large both models are, and the one step of each that a phase consists of."""

    dtype: str
    deviation: float  #: of the random weights
    transformer: Mapping[str, Any]
    vae: Mapping[str, Any]
    text: Mapping[str, Any]
    vision: Mapping[str, Any]
    grid: int  #: tokens along a side of the editor's picture
    patches: int  #: along a side of the judge's picture
    words: int
    tied: bool = False


_VISION = {"patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2}
_FULL = Size(
    dtype="bfloat16",
    deviation=0.02,
    transformer={},  # the class's defaults are Qwen-Image's own
    vae={},
    text={
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "moe_intermediate_size": 768,
        "num_hidden_layers": 48,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "num_experts": 128,
        "num_experts_per_tok": 8,
        "vocab_size": 151936,
        "max_position_embeddings": 262144,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5e6,
            "mrope_section": [24, 20, 20],
            "mrope_interleaved": True,
        },
    },
    vision={
        **_VISION,
        "depth": 27,
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_heads": 16,
        "out_hidden_size": 2048,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [8, 16, 24],
    },
    grid=64,  # 1024 x 1024 pixels
    patches=64,
    words=512,
)
_TINY = Size(
    dtype="float32",
    deviation=0.1,
    transformer={
        "num_layers": 6,
        "attention_head_dim": 32,
        "num_attention_heads": 2,
        "joint_attention_dim": 64,
        "axes_dims_rope": (8, 12, 12),
    },
    vae={"base_dim": 8, "num_res_blocks": 1},
    text={
        "hidden_size": 64,
        "intermediate_size": 128,
        "moe_intermediate_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "num_experts": 16,
        "num_experts_per_tok": 2,
        "vocab_size": 4096,
        "max_position_embeddings": 512,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5e6,
            "mrope_section": [4, 2, 2],
            "mrope_interleaved": True,
        },
    },
    vision={
        **_VISION,
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 4,
        "out_hidden_size": 64,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    },
    grid=2,
    patches=4,
    words=12,
    tied=True,
)
SIZES = {
    "tiny": _TINY,
    "half": replace(
        _FULL, transformer={"num_layers": 30}, text={**_FULL.text, "num_hidden_layers": 24}
    ),
    "full": _FULL,
}


def editor(size: Size) -> Modules:
    """Return the editor's transformer and VAE, without memory for their parameters."""
    from accelerate import init_empty_weights
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel

    # Buffers stay real: what they hold is computed and would be lost.
    with init_empty_weights(include_buffers=False):
        return {
            "transformer": QwenImageTransformer2DModel(**size.transformer).eval(),
            "vae": AutoencoderKLQwenImage(**size.vae).eval(),
        }


def judge(size: Size) -> Modules:
    """Return the judge, without memory for its parameters."""
    from accelerate import init_empty_weights
    from transformers import Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration

    config = Qwen3VLMoeConfig(
        text_config={**size.text, "tie_word_embeddings": size.tied},
        vision_config=dict(size.vision),
        tie_word_embeddings=size.tied,
        **_marks(size),
    )
    with init_empty_weights(include_buffers=False):
        model = Qwen3VLMoeForConditionalGeneration(config).eval()
    model.tie_weights()
    return {"model": model}


def parameter_bytes(modules: Modules, size: Size) -> list[int]:
    """Return the bytes of each parameter once filled, tied ones once."""
    width = _dtype(size).itemsize
    unique = {id(p): p for root in modules.values() for p in root.parameters()}
    return [parameter.numel() * width for parameter in unique.values()]


def fill(modules: Modules, size: Size, place: torch.device, *, seed: int) -> None:
    """Make every parameter on the device: norms are 1, biases 0, the rest seeded normal noise."""
    import torch

    seeded = torch.Generator(place).manual_seed(seed)
    made: dict[int, torch.nn.Parameter] = {}  # a tied parameter stays tied
    for root in modules.values():
        for module in root.modules():
            for name, empty in module._parameters.items():
                if empty is None:
                    continue
                if id(empty) not in made:
                    weight = torch.empty(empty.shape, dtype=_dtype(size), device=place)
                    if name == "bias":
                        weight.zero_()
                    elif name == "gamma" or (name == "weight" and weight.dim() == 1):
                        weight.fill_(1)
                    else:
                        weight.normal_(0, size.deviation, generator=seeded)
                    made[id(empty)] = torch.nn.Parameter(weight, requires_grad=False)
                module._parameters[name] = made[id(empty)]
        for buffer in root.buffers():
            buffer.data = buffer.data.to(place)


def edit_inputs(size: Size, modules: Modules) -> Inputs:
    """Return a fixed picture, noise and two instructions, one of them the negative."""
    transformer, dtype = modules["transformer"].config, _dtype(size)
    tokens = size.grid * size.grid
    draw = _draw(seed=2)
    return {
        "hidden_states": draw(1, 2 * tokens, transformer.in_channels).to(dtype),
        "encoder_hidden_states": draw(2, size.words, transformer.joint_attention_dim).to(dtype),
    }


def edit(modules: Modules, inputs: Inputs) -> torch.Tensor:
    """Take one denoising step, guided, which are two passes, and decode: a picture."""
    import torch

    hidden, words = inputs["hidden_states"], inputs["encoder_hidden_states"]
    side = int((hidden.shape[1] // 2) ** 0.5)
    wanted, unwanted = (
        modules["transformer"](
            hidden_states=hidden,
            encoder_hidden_states=each[None],
            encoder_hidden_states_mask=torch.ones(
                1, len(each), dtype=torch.bool, device=hidden.device
            ),
            timestep=torch.full((1,), 0.5, dtype=hidden.dtype, device=hidden.device),
            img_shapes=[[(1, side, side), (1, side, side)]],
            return_dict=False,
        )[0][:, : side * side]
        for each in words
    )
    guided = unwanted + 4 * (wanted - unwanted)
    # Each token is two by two latents of every channel.
    latents = guided.view(1, side, side, -1, 2, 2).permute(0, 3, 1, 4, 2, 5)
    picture: torch.Tensor = modules["vae"].decode(
        latents.reshape(1, latents.shape[1], 1, 2 * side, 2 * side), return_dict=False
    )[0]
    return picture


def score_inputs(size: Size, modules: Modules) -> Inputs:
    """Return a fixed question: words, and a picture among them."""
    import torch

    marks, patches = _marks(size), size.patches * size.patches
    words = torch.arange(size.words) % (size.text["vocab_size"] - len(marks))
    picture = [marks["image_token_id"]] * (patches // 4)
    marked = [marks["vision_start_token_id"], *picture, marks["vision_end_token_id"]]
    ids = torch.cat([torch.tensor(marked), words])[None]
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_token_type_ids": (ids == marks["image_token_id"]).int(),
        "pixel_values": _draw(seed=4)(patches, 3 * 2 * 16 * 16).to(_dtype(size)),
        "image_grid_thw": torch.tensor([[1, size.patches, size.patches]]),
    }


def score(modules: Modules, inputs: Inputs) -> torch.Tensor:
    """Read the question once: the logits of the first word of a reply."""
    found: torch.Tensor = modules["model"](**inputs, use_cache=False, logits_to_keep=1).logits
    return found


class Role(NamedTuple):
    """What a phase runs."""

    build: Callable[[Size], Modules]
    inputs: Callable[[Size, Modules], Inputs]
    run: Callable[[Modules, Inputs], torch.Tensor]


ROLES = {"editor": Role(editor, edit_inputs, edit), "judge": Role(judge, score_inputs, score)}


def fingerprint(output: torch.Tensor) -> str:
    """Return a hash of an output's bits. Raises ``ValueError`` unless every number is finite."""
    import torch

    if not bool(output.isfinite().all()):
        raise ValueError("the output holds NaN or infinity, so it proves nothing")
    raw = output.contiguous().cpu().view(torch.uint8)
    return hashlib.sha256(raw.numpy().tobytes()).hexdigest()[:16]


def _draw(*, seed: int) -> Callable[..., torch.Tensor]:
    import torch

    seeded = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*shape, generator=seeded)


def _dtype(size: Size) -> torch.dtype:
    import torch

    dtype: torch.dtype = getattr(torch, size.dtype)
    return dtype


def _marks(size: Size) -> dict[str, int]:
    last = size.text["vocab_size"]
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    return {name: last - 4 + index for index, name in enumerate(names)}
