"""Models larger than the device: what stays on it, and what comes whenever it is used.

The libraries' own hooks bring the weights: accelerate's for models of transformers, group
offloading for those of diffusers, which copies the next layer while one works. Where the host's
memory is the device's, as on a processor that plays a small device, weights lie in files instead.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from editbench.engine.protocols import Streaming

if TYPE_CHECKING:
    import torch

AHEAD = 1  #: layers that group offloading brings while another one works
_BLOCK = re.compile(r"(.*?\.\d+)\.")


class Piece(NamedTuple):
    """A part of a model that stays on the device or is streamed, as a whole."""

    name: str
    bytes: int
    layer: int  #: bytes of its largest layer, which is what comes at a time


class Choice(NamedTuple):
    """Which pieces stay on the device while the others are streamed, and what that takes."""

    stay: Collection[str]
    takes: Streaming


def choose(ordered: Sequence[Piece], budget: int, *, ahead: int = 0) -> Choice | None:
    """Keep what fits into ``budget`` bytes of the device, the first pieces first, but not all.

    ``ahead`` is how many layers come before they are needed. None if not even one layer after
    another fits.
    """

    def held(stay: Collection[Piece]) -> int:
        layers = (piece.layer for piece in ordered if piece not in stay)
        return sum(piece.bytes for piece in stay) + (1 + ahead) * max(layers)

    stay: list[Piece] = []
    for piece in ordered:
        if len(stay) + 1 < len(ordered) and held([*stay, piece]) <= budget:
            stay.append(piece)
    if held(stay) > budget:
        return None
    moved = sum(piece.bytes for piece in ordered if piece not in stay)
    return Choice([piece.name for piece in stay], Streaming(held(stay), moved))


def pieces(tensors: Mapping[str, int]) -> list[Piece]:
    """Return a model's blocks, and its layers outside of blocks, given its tensors' bytes by name.

    What sees an image once comes last: the rest runs for every token.
    """
    homes = _homes(tensors)
    found: dict[str, dict[str, int]] = {}
    for layer, size in _layers(tensors).items():
        found.setdefault(homes[layer], {})[layer] = size
    made = (Piece(name, sum(each.values()), max(each.values())) for name, each in found.items())
    return sorted(made, key=lambda piece: ("vis" in piece.name, piece.name))


def modules(parts: Mapping[str, Mapping[str, int]]) -> list[Piece]:
    """Return a pipeline's modules, small ones first, given their tensors' bytes by name."""
    made = (
        Piece(name, sum(tensors.values()), max(_layers(tensors).values()))
        for name, tensors in parts.items()
    )
    return sorted(made, key=lambda piece: piece.bytes)


def stream_model(module: Any, stay: Collection[str], place: torch.device, *, folder: Path) -> None:
    """Have a model of transformers streamed, but for the pieces that are to ``stay``."""
    from accelerate import dispatch_model

    _align(module, place)
    named = dict(module.named_parameters(remove_duplicate=False))
    homes = _homes([*named, *(name for name, _ in module.named_buffers())])
    away = "disk" if place.type == "cpu" else "cpu"
    tiers = {home: str(place) if home in stay else away for home in homes.values()}
    first: dict[int, str] = {}
    for name, tensor in named.items():  # tied tensors go together
        home = homes[_layer(name)]
        tiers[home] = tiers[first.setdefault(id(tensor), home)]
    dispatch_model(module, tiers, main_device=str(place), offload_dir=folder, force_hooks=True)


def stream_pipeline(
    parts: Mapping[str, Any],
    stay: Collection[str],
    place: torch.device,
    *,
    folder: Path,
    host: int,
) -> None:
    """Have the modules of a pipeline streamed, but for those that are to ``stay``.

    ``host`` is how many bytes of host memory there are for a pinned copy of the weights.
    """
    from accelerate import dispatch_model
    from diffusers import ModelMixin
    from diffusers.hooks import apply_group_offloading

    playing = place.type == "cpu"
    for name, module in parts.items():
        if name in stay:
            _align(module, place)
            # The pipeline asks hooks where to work, where some of its weights are nowhere.
            dispatch_model(module, {"": str(place)}, force_hooks=True)
        elif not isinstance(module, ModelMixin):
            stream_model(module, (), place, folder=folder / name)
        else:
            if playing:
                _align_what_comes(module)
            pinned = 0 if playing else _pinned_bytes(module)
            fits = pinned <= host
            host -= pinned * fits
            apply_group_offloading(
                module,
                onload_device=place,
                offload_type="leaf_level",
                use_stream=not playing,
                record_stream=not playing,
                low_cpu_mem_usage=not fits,
                offload_to_disk_path=str(folder / name) if playing else None,
            )


def parameter_bytes(module: Any) -> dict[str, int]:
    """Return the bytes of a loaded model's parameters by name; those that are tied count once."""
    return {name: tensor.nbytes for name, tensor in module.named_parameters()}


def _layers(tensors: Mapping[str, int]) -> dict[str, int]:
    layers: dict[str, int] = {}
    for name, size in tensors.items():
        layers[_layer(name)] = layers.get(_layer(name), 0) + size
    return layers


def _homes(tensors: Iterable[str]) -> dict[str, str]:
    """Return for each layer the piece that it is in: no piece's name leads into another's."""
    homes: dict[str, str] = {}
    for layer in sorted({_layer(name) for name in tensors}, key=lambda name: name.count(".")):
        block = _BLOCK.match(f"{layer}.")
        name = block[1] if block else layer
        outer = (home for home in homes.values() if name.startswith(f"{home}."))
        homes[layer] = next(outer, name)
    return homes


def _layer(tensor: str) -> str:
    return tensor.rpartition(".")[0]


def _align(module: Any, place: torch.device) -> None:
    # Where a file maps them weights may lie at any address, and results depend on alignment.
    if place.type == "cpu":
        for parameter in module.parameters():
            parameter.data = parameter.data.clone()


def _align_what_comes(model: Any) -> None:
    """Have weights that group offloading maps from files moved once more, to where torch puts them.

    To be called before group offloading is set up: the hooks that are added last run first.
    """
    from diffusers.hooks import HookRegistry, ModelHook

    class Align(ModelHook):  # type: ignore[misc]  # diffusers has no types
        def pre_forward(self, module: Any, *args: Any, **kwargs: Any) -> Any:
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.clone()
            return args, kwargs

    for module in model.modules():
        if next(module.parameters(recurse=False), None) is not None:
            registry = HookRegistry.check_if_exists_or_initialize(module)
            registry.register_hook(Align(), "editbench_align")


def _pinned_bytes(module: Any) -> int:
    """Return the bytes of a pinned copy: torch rounds each tensor up to a power of two."""
    return sum(1 << (tensor.nbytes - 1).bit_length() for tensor in module.parameters())
