"""Random weights that behave: with the libraries' defaults a tiny model is deaf to its input."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_WORDY = re.compile(r" ?[A-Za-z]{2,}[.,]?|[.,0-9]")  #: tokens that a tiny judge's sentences are of
_CLOSING = ('"', '"}', '",', '","')
_ATTENDING = ("q_proj", "k_proj", "qkv")  #: flat attention would average its input away
_ATTENDING_NORMS = ("q_norm.weight", "k_norm.weight")
_EMBEDDINGS = ("embed_tokens", "shared.weight", "token_embedding")


def spread(module: Any, *, seed: int) -> Any:
    """Fill a module so that activations keep their variance from layer to layer; return it."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if weight.dim() >= 2:
                weight.copy_(torch.ones(()) if "gamma" in name else noise * _gain(name, weight))
            elif name.endswith(_ATTENDING_NORMS):
                weight.fill_(2.0)
            elif name.endswith("bias"):
                weight.zero_()
            elif not bool((weight == 1).all()):  # neither a bias nor a norm's scale
                weight.copy_(noise * 0.02)
    return module.eval()


def make_terse(model: Any, tokenizer: Any) -> Any:
    """Make a random model end its sentences soon, and prefer words to bytes; return it.

    A token whose row of the output layer is longer wins more often, when it wins at all.
    """
    import torch

    with torch.no_grad():
        for number, row in enumerate(model.get_output_embeddings().weight):
            text = tokenizer.decode([number])
            row *= 2.5 if text in _CLOSING else 1.0 if _WORDY.fullmatch(text) else 0.3
    return model


def _gain(name: str, weight: Any) -> float:
    if any(part in name for part in _EMBEDDINGS):
        return float(weight.shape[1] ** -0.5)  # it may be the output layer as well
    if weight.dim() == 5:
        # A causal 3D convolution over one frame sees data through its last tap in time only.
        return float(weight[0, :, -1].numel() ** -0.5)
    if weight.dim() == 3:  # the experts of a layer, stacked
        return float(weight.shape[-1] ** -0.5)
    sharp = 4 if any(part in name for part in _ATTENDING) else 1
    return float(sharp * weight[0].numel() ** -0.5)


def latent_statistics(
    encode: Callable[[Any], Any], *, size: int, dims: tuple[int, ...]
) -> tuple[Any, Any]:
    """Return mean and deviation over ``dims`` of the latents of four random images."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        latents = torch.cat(
            [encode(torch.rand(1, 3, size, size, generator=generator) * 2 - 1) for _ in range(4)]
        )
    return latents.mean(dims), latents.std(dims)
