"""What a model's weights are: which tensors share memory, which may move, which cannot be owned.

Does not cover where they go (see arena) or when (see residency).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from editbench.errors import BackendError

if TYPE_CHECKING:
    import torch
    from torch.nn import Module

PHASE = 16  #: bytes; a group starts at a multiple of it in its storage, so that every dtype fits
_OFFLOADERS = {"CpuOffload", "LayerwiseCastingHook"}  # accelerate
_OFFLOAD_HOOKS = {"group_offloading", "lazy_prefetch_group_offloading", "layerwise_casting"}


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """A tensor of a model, and how it lies in its group. The tensor object is never replaced."""

    name: str  #: the first of its names
    tensor: torch.Tensor
    offset: int  #: bytes from the start of its group
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Tensors that share bytes, and so must move together: tied weights, views of each other."""

    leaves: tuple[Leaf, ...]
    bytes: int
    fixed: bool  #: holds a buffer; buffers may change while a model runs, so they never move


@dataclass(frozen=True, slots=True)
class Loose:
    """Tensors that are plain attributes, neither parameters nor buffers. They are left alone."""

    count: int
    bytes: int


class _Found(NamedTuple):
    name: str
    tensor: torch.Tensor
    buffer: bool


class _Span(NamedTuple):
    """Where a tensor's bytes are."""

    storage: int
    start: int
    end: int
    item: _Found


def leaves(modules: Mapping[str, Module]) -> list[Group]:
    """Return every parameter and buffer once, grouped by shared bytes, in the order of the modules.

    Raises ``BackendError``, listing every tensor or module that cannot be owned.
    """
    found = list(tensors(modules))
    problems = [*_module_problems(modules), *filter(None, map(_problem, found))]
    if problems:
        raise BackendError(
            f"cannot take charge of these weights: {problems[0]}",
            hint="load the model plainly into host memory: no device_map, no enable_*_offload; "
            "pipe.remove_all_hooks() undoes them",
            problems=problems,
        )
    order = {id(item.tensor): index for index, item in enumerate(found)}
    groups = [_group(items) for items in _clusters(found)]
    return sorted(groups, key=lambda group: order[id(group.leaves[0].tensor)])


def tensors(modules: Mapping[str, Module]) -> Iterator[_Found]:
    """Yield each parameter and buffer once, wrapper subclasses taken apart, with its first name."""
    seen: set[int] = set()
    memo: set[Module] = set()
    for prefix, root in modules.items():
        for path, module in root.named_modules(memo=memo, prefix=prefix):
            for registry, buffer in ((module._parameters, False), (module._buffers, True)):
                for key, tensor in registry.items():
                    if tensor is None:
                        continue
                    for name, inner in _parts(f"{path}.{key}", tensor):
                        if id(inner) not in seen:
                            seen.add(id(inner))
                            yield _Found(name, inner, buffer)


def loose(modules: Mapping[str, Module]) -> Loose:
    """Count the tensors that models hold as plain attributes, in lists and dicts too."""
    import torch

    seen: dict[int, int] = {}
    for root in modules.values():
        for module in root.modules():
            for key, value in vars(module).items():
                if key in ("_parameters", "_buffers", "_modules"):
                    continue
                inside = value.values() if isinstance(value, dict) else value
                several = isinstance(value, dict | list | tuple)
                for item in inside if several else (value,):
                    if isinstance(item, torch.Tensor):
                        seen[id(item)] = item.numel() * item.element_size()
    return Loose(len(seen), sum(seen.values()))


def _parts(name: str, tensor: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield a tensor, or those inside it; of a 4-bit weight of bitsandbytes its state as well."""
    if _is_4bit(tensor):
        import torch

        yield name, tensor
        for key, value in vars(tensor.quant_state).items():  # type: ignore[attr-defined]
            if isinstance(value, torch.Tensor):
                yield f"{name}.{key}", value
        return
    flatten = getattr(type(tensor), "__tensor_flatten__", None)
    if flatten is None or type(tensor).__module__.startswith("torch.distributed"):
        yield name, tensor
        return
    attributes, _ = flatten(tensor)
    for attribute in attributes:
        yield from _parts(f"{name}.{attribute}", getattr(tensor, attribute))


def _is_4bit(tensor: torch.Tensor) -> bool:
    state = getattr(tensor, "quant_state", None)
    # Statistics that are quantized themselves have a table that all models of a process share.
    return type(tensor).__name__ == "Params4bit" and state is not None and not state.nested


def _problem(item: _Found) -> str | None:
    import torch

    tensor = item.tensor
    home = type(tensor).__module__
    if home.startswith("bitsandbytes") and not _is_4bit(tensor):
        return f"{item.name} is quantized by bitsandbytes in a way that keeps state out of reach"
    if home.startswith("torch.distributed"):
        return f"{item.name} is distributed over several devices"
    if torch.nn.parameter.is_lazy(tensor):
        return f"{item.name} has no shape yet"
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_conj():
        return f"{item.name} is not a plain dense tensor"
    if tensor.device.type != "cpu":
        return f"{item.name} is on {tensor.device}, not in host memory"
    return None


def _module_problems(modules: Mapping[str, Module]) -> Iterator[str]:
    for name, root in modules.items():
        if len(set((getattr(root, "hf_device_map", None) or {}).values())) > 1:
            yield f"{name} is spread over several devices by its device map"
        for path, module in root.named_modules(prefix=name):
            hook = getattr(module, "_hf_hook", None)
            for inner in getattr(hook, "hooks", (hook,)):
                if type(inner).__name__ in _OFFLOADERS or getattr(inner, "offload", False):
                    yield f"{path} is moved by accelerate ({type(inner).__name__})"
            registry = getattr(module, "_diffusers_hook", None)
            for kind in sorted(_OFFLOAD_HOOKS & set(getattr(registry, "hooks", ()))):
                yield f"{path} is moved by diffusers ({kind})"


def _span(item: _Found) -> _Span:
    tensor, width = item.tensor, item.tensor.element_size()
    if not tensor.numel():
        return _Span(-id(tensor), 0, 0, item)  # shares nothing with any other
    start = int(tensor.storage_offset()) * width
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    length = (sum((size - 1) * step for size, step in steps) + 1) * width
    return _Span(tensor.untyped_storage().data_ptr(), start, start + length, item)


def _clusters(found: list[_Found]) -> Iterator[list[_Span]]:
    """Yield tensors that share bytes together."""
    # Stable, and by the rounded place, so that a group keeps the model's own order and first name.
    spans = sorted(map(_span, found), key=lambda span: (span.storage, span.start // PHASE))
    cluster = spans[:1]
    for span in spans[1:]:
        same = span.storage == cluster[0].storage
        if same and span.start // PHASE * PHASE < max(other.end for other in cluster):
            cluster.append(span)
        else:
            yield cluster
            cluster = [span]
    if cluster:
        yield cluster


def _group(spans: list[_Span]) -> Group:
    first = min(span.start for span in spans) // PHASE * PHASE
    last = max(span.end for span in spans)
    return Group(
        leaves=tuple(
            Leaf(
                item.name,
                item.tensor,
                start - first,
                tuple(item.tensor.shape),
                item.tensor.stride(),
            )
            for _, start, _, item in spans
        ),
        bytes=last - first,
        fixed=first == last or any(span.item.buffer for span in spans),
    )
