"""Tiny checkpoints of editing pipelines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from editbench.backends.tiny_judges import qwen25_vl
from editbench.backends.tiny_tokenizers import (
    clip_tokenizer,
    qwen_processor,
    save_video_half,
    t5_tokenizer,
)
from editbench.backends.tiny_weights import latent_statistics, spread

_WIDTH = 32  #: of every text encoder and transformer
_ROPE = (4, 6, 6)  #: a head's 16 dimensions, split over time, height and width


def _qwen(path: Path, *, plus: bool) -> None:
    import diffusers

    latents = 4
    processor = qwen_processor("Qwen2VLProcessor", patch=14)
    transformer = diffusers.QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=4 * latents,
        out_channels=latents,
        num_layers=2,
        attention_head_dim=sum(_ROPE),
        num_attention_heads=2,
        joint_attention_dim=_WIDTH,
        axes_dims_rope=_ROPE,
    )
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(
        base_image_seq_len=256,
        base_shift=0.5,
        max_image_seq_len=8192,
        max_shift=0.9,
        num_train_timesteps=1000,
        shift=1.0,
        shift_terminal=0.02,
        time_shift_type="exponential",
        use_dynamic_shifting=True,
    )
    name = "QwenImageEditPlusPipeline" if plus else "QwenImageEditPipeline"
    pipeline = getattr(diffusers, name)(
        scheduler=scheduler,
        vae=_qwen_vae(latents),
        text_encoder=qwen25_vl(processor.tokenizer, seed=2),
        tokenizer=processor.tokenizer,
        processor=processor,
        transformer=spread(transformer, seed=3),
    )
    pipeline.save_pretrained(path)
    save_video_half(path / "processor", "Qwen2VLVideoProcessor", patch=14)


def _qwen_vae(latents: int) -> Any:
    # These pipelines encode about a megapixel whatever the size asked for, so the VAE sets the
    # price of a tiny edit: no residual blocks, and six levels instead of four.
    from diffusers import AutoencoderKLQwenImage

    levels = 6
    vae = AutoencoderKLQwenImage(
        base_dim=4,
        z_dim=latents,
        dim_mult=[1] * levels,
        num_res_blocks=0,
        temperal_downsample=[False] * (levels - 1),
        latents_mean=[0.0] * latents,
        latents_std=[1.0] * latents,
    )
    spread(vae, seed=1)
    mean, deviation = latent_statistics(
        lambda image: vae.encode(image.unsqueeze(2)).latent_dist.mode(), size=256, dims=(0, 2, 3, 4)
    )
    vae.register_to_config(
        latents_mean=[round(value, 4) for value in mean.tolist()],
        latents_std=[round(value, 4) for value in deviation.tolist()],
    )
    return vae


def _kontext(path: Path) -> None:
    import diffusers

    clip, t5 = clip_tokenizer(), t5_tokenizer()
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=sum(_ROPE),
        num_attention_heads=2,
        joint_attention_dim=_WIDTH,
        pooled_projection_dim=_WIDTH,
        guidance_embeds=True,
        axes_dims_rope=_ROPE,
    )
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(
        base_image_seq_len=256,
        base_shift=0.5,
        max_image_seq_len=4096,
        max_shift=1.15,
        num_train_timesteps=1000,
        shift=3.0,
        use_dynamic_shifting=True,
    )
    diffusers.FluxKontextPipeline(
        scheduler=scheduler,
        vae=_kl_vae(flux=True),
        text_encoder=_clip_text(clip),
        tokenizer=clip,
        text_encoder_2=_t5_encoder(t5),
        tokenizer_2=t5,
        transformer=spread(transformer, seed=14),
    ).save_pretrained(path)


def _pix2pix(path: Path) -> None:
    import diffusers

    clip = clip_tokenizer()
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        in_channels=8,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=_WIDTH,
        attention_head_dim=8,
        norm_num_groups=4,
    )
    scheduler = diffusers.EulerAncestralDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        timestep_spacing="leading",
    )
    diffusers.StableDiffusionInstructPix2PixPipeline(
        vae=_kl_vae(flux=False),
        text_encoder=_clip_text(clip),
        tokenizer=clip,
        unet=spread(unet, seed=20),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(path)


def _kl_vae(*, flux: bool) -> Any:
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(8,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=1,
        sample_size=64,
        use_quant_conv=not flux,
        use_post_quant_conv=not flux,
    )
    spread(vae, seed=13)
    mean, deviation = latent_statistics(
        lambda image: vae.encode(image).latent_dist.mode(), size=64, dims=(0, 2, 3)
    )
    vae.register_to_config(
        scaling_factor=round(1 / deviation.mean().item(), 4),
        shift_factor=round(mean.mean().item(), 4) if flux else None,
    )
    return vae


def _clip_text(tokenizer: Any) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=_WIDTH,
        intermediate_size=2 * _WIDTH,
        num_attention_heads=2,
        num_hidden_layers=2,
        projection_dim=_WIDTH,
        max_position_embeddings=77,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return spread(CLIPTextModel(config), seed=11)


def _t5_encoder(tokenizer: Any) -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=_WIDTH,
        d_kv=16,
        d_ff=2 * _WIDTH,
        num_layers=2,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        is_encoder_decoder=False,
        use_cache=False,
    )
    return spread(T5EncoderModel(config), seed=12)


BUILDERS: Mapping[str, Callable[[Path], None]] = {
    "tiny/qwen-image-edit": partial(_qwen, plus=False),
    "tiny/qwen-image-edit-plus": partial(_qwen, plus=True),
    "tiny/flux-kontext": _kontext,
    "tiny/instruct-pix2pix": _pix2pix,
}
