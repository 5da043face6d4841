"""What others do to have two models take turns on a device: each a way to move them.

Torch, accelerate and diffusers are called as their documentation says; ``Retained`` is what current
servers of models do instead. Ours are in ``ladder.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from weights import Modules

from editbench.engine.devices import Device

if TYPE_CHECKING:
    import torch

NOTHING_TO_COPY = "on a processor .to() copies nothing, so there is nothing to measure"


class Copied(NamedTuple):
    """Bytes so far."""

    into: int
    back: int

    def __sub__(self, other: Copied) -> Copied:
        return Copied(self.into - other.into, self.back - other.back)


class Unable(Exception):
    """A way cannot be taken here, and why."""


class Mover:
    """A way to have models take turns. It is given each model on the device, and takes it off."""

    label: ClassVar[str]  #: its name in the table
    models: ClassVar[Sequence[str]] = ("editor", "judge")
    only_gpu = ""  #: why its figures would mean nothing on a processor

    def __init__(self, device: Device, *, room: int | None) -> None:
        """Use a device of which ``room`` bytes are for weights, or all that steps leave."""
        self.device, self.place, self.room = device, device.place, room
        self.modules: dict[str, Modules] = {}
        self.moved = Copied(0, 0)
        self.most = 0  #: bytes of weights that a pretend device held at once

    def host_bytes(self, parameters: Mapping[str, Sequence[int]]) -> int:
        """Return the host memory it needs, given the bytes of each model's parameters."""
        return sum(map(sum, parameters.values()))

    def take(self, name: str, modules: Modules) -> None:
        """Take charge of a model that is on the device."""
        self.modules[name] = modules

    def ready(self, *, step: int) -> None:
        """All models are taken; their steps need at most so many bytes beside the weights."""

    def switch(self, name: str) -> None:
        """Make a model ready to run."""

    def leave(self, name: str) -> None:
        """The model's turn is over."""

    def copied(self) -> Copied:
        """Return the bytes that it copied."""
        return self.moved

    def pinned(self) -> int:
        """Return the bytes of host memory that are pinned. Only where there is a GPU."""
        import torch

        return int(torch.cuda.host_memory_stats().get("allocated_bytes.current", 0))


class Alternating(Mover):
    """Nothing but ``switch`` moves anything: one model leaves, and the other comes."""

    on = ""

    def switch(self, name: str) -> None:
        if self.on == name:
            return
        if self.on:
            self._send_away(self.on)
        self._bring(name)
        self.on = name

    def _send_away(self, name: str) -> None:
        raise NotImplementedError

    def _bring(self, name: str) -> None:
        """Copy every tensor of a model to new memory of the device, as ``Module.to`` does."""
        for tensor in self._tensors(name):
            # A pretend device is the host's memory too: without copy=True nothing would move.
            tensor.data = tensor.data.to(self.place, copy=True)
        size = self._bytes(name)
        self.most = max(self.most, size)
        self.moved = Copied(self.moved.into + size, self.moved.back)

    def _tensors(self, name: str) -> Iterator[torch.Tensor]:
        for root in self.modules[name].values():
            yield from root.parameters()
            yield from root.buffers()

    def _bytes(self, name: str) -> int:
        return sum(tensor.nbytes for tensor in self._tensors(name))


class Naive(Alternating):
    """``.to("cpu")``, ``empty_cache`` and ``.to(device)``: both ways, through pageable memory."""

    label = "naive: .to(), both ways"

    def take(self, name: str, modules: Modules) -> None:
        super().take(name, modules)
        self._send_away(name)

    def _send_away(self, name: str) -> None:
        for tensor in self._tensors(name):
            tensor.data = tensor.data.to("cpu", copy=True)
        self.device.empty_cache()
        self.moved = Copied(self.moved.into, self.moved.back + self._bytes(name))


class Retained(Alternating):
    """The host's copy of every tensor is kept, so that nothing is copied back."""

    label = "retained, pageable"

    def __init__(self, device: Device, *, room: int | None) -> None:
        super().__init__(device, room=room)
        self.kept: dict[str, list[torch.Tensor]] = {}

    def take(self, name: str, modules: Modules) -> None:
        super().take(name, modules)
        self.kept[name] = [self._host(tensor) for tensor in self._tensors(name)]
        self._send_away(name)

    def _send_away(self, name: str) -> None:
        for tensor, host in zip(self._tensors(name), self.kept[name], strict=True):
            tensor.data = host
        self.device.empty_cache()

    def _host(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.data.to("cpu", copy=True)


class RetainedPinned(Retained):
    """The same with ``pin_memory``, which rounds each tensor up to a power of two."""

    label = "retained, pinned"
    only_gpu = "pinned memory is for a device that reads it by itself"

    def host_bytes(self, parameters: Mapping[str, Sequence[int]]) -> int:
        return sum(rounded(size) for sizes in parameters.values() for size in sizes)

    def _host(self, tensor: torch.Tensor) -> torch.Tensor:
        import torch

        if tensor.device.type == "cpu":
            raise Unable(self.only_gpu)
        return torch.empty_like(tensor, device="cpu", pin_memory=True).copy_(tensor)


class Hooked(Mover):
    """A library's hooks move the models when they are called."""

    only_gpu = NOTHING_TO_COPY
    hooked = True

    def counted(self) -> AbstractContextManager[None]:
        """Within this, ``copied`` is told of every copy. It slows every call into torch."""
        return counting(self._count)

    def _count(self, into: int, back: int) -> None:
        self.moved = Copied(self.moved.into + into, self.moved.back + back)


class ModelOffload(Hooked):
    """diffusers ``enable_model_cpu_offload`` for the editor, accelerate's hook for the judge."""

    label = "diffusers enable_model_cpu_offload"

    def take(self, name: str, modules: Modules) -> None:
        from accelerate import cpu_offload_with_hook
        from diffusers import FlowMatchEulerDiscreteScheduler, QwenImageEditPipeline

        super().take(name, modules)
        if name == "editor":
            parts = dict.fromkeys(("text_encoder", "tokenizer", "processor"))
            scheduler = FlowMatchEulerDiscreteScheduler()
            self.pipeline = QwenImageEditPipeline(scheduler=scheduler, **parts, **modules)
            self.pipeline.enable_model_cpu_offload(device=self.place)
        else:
            _, self.hook = cpu_offload_with_hook(modules["model"], self.place)
            self.hook.offload()

    def leave(self, name: str) -> None:
        if name == "editor":
            self.pipeline.maybe_free_model_hooks()  # as the end of every call of a pipeline does
        else:
            self.hook.offload()
            self.device.empty_cache()


class HookChain(Hooked):
    """accelerate ``cpu_offload_with_hook``, each module sending the one before it home."""

    label = "accelerate cpu_offload_with_hook"
    last: Any = None

    def take(self, name: str, modules: Modules) -> None:
        from accelerate import cpu_offload_with_hook

        super().take(name, modules)
        for module in modules.values():
            _, self.last = cpu_offload_with_hook(module, self.place, prev_module_hook=self.last)
            self.last.offload()
        self.device.empty_cache()

    def leave(self, name: str) -> None:
        if name == "judge":  # nothing comes after it that would send it home
            self.last.offload()
            self.device.empty_cache()


class Dispatched(Hooked):
    """accelerate ``dispatch_model``: each submodule comes when it is called and goes after it."""

    label = "accelerate dispatch_model *"
    models = ("editor",)

    def take(self, name: str, modules: Modules) -> None:
        from accelerate import dispatch_model

        super().take(name, modules)
        for module in modules.values():
            module.to("cpu")
            homes = dict.fromkeys((child for child, _ in module.named_children()), "cpu")
            dispatch_model(module, homes, main_device=self.place, force_hooks=True)
        self.device.empty_cache()


class GroupOffload(Hooked):
    """diffusers group offload of the editor, on a stream of its own where there are streams."""

    label = "diffusers group offload, blocks *"
    models = ("editor",)
    settings: ClassVar[Mapping[str, Any]] = {"offload_type": "block_level"}

    def host_bytes(self, parameters: Mapping[str, Sequence[int]]) -> int:
        if self.place.type == "cpu":
            return super().host_bytes(parameters)
        return sum(rounded(size) for sizes in parameters.values() for size in sizes)

    def take(self, name: str, modules: Modules) -> None:
        import torch
        from diffusers.hooks import apply_group_offloading

        super().take(name, modules)
        streams = self.place.type != "cpu"
        for part, module in modules.items():
            # decode never calls the VAE itself, which is what a VAE's blocks would wait for.
            settings = (
                dict(self.settings) if part == "transformer" else {"offload_type": "leaf_level"}
            )
            if settings["offload_type"] == "block_level":
                settings["num_blocks_per_group"] = 1
            if not streams:
                settings.pop("record_stream", None)
            apply_group_offloading(
                module, self.place, torch.device("cpu"), use_stream=streams, **settings
            )
        self.device.empty_cache()


class GroupOffloadRecorded(GroupOffload):
    """The same with ``record_stream``."""

    label = "the same, record_stream *"
    settings: ClassVar = {"offload_type": "block_level", "record_stream": True}


class GroupOffloadLeaves(GroupOffload):
    """The same, layer by layer."""

    label = "diffusers group offload, leaves *"
    settings: ClassVar = {"offload_type": "leaf_level"}


def rounded(size: int) -> int:
    """Return what torch's pinned allocator takes for a tensor: the next power of two."""
    return 1 << (size - 1).bit_length() if size else 0


def counting(count: Callable[[int, int], None]) -> AbstractContextManager[None]:
    """Call ``count(into, back)`` with the bytes of every copy between host and device."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            out = func(*args, **(kwargs or {}))
            name = func.name()
            if name in ("aten::_to_copy", "aten::copy_"):
                source, target = (args[0], out) if name == "aten::_to_copy" else (args[1], out)
                was, now = source.device.type == "cpu", target.device.type == "cpu"
                count(target.nbytes * (was and not now), target.nbytes * (now and not was))
            return out

    return Counting()
