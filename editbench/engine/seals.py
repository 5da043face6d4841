"""Notices when other code touches weights, and stops a model that is not on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from editbench.engine.arena import Layout
from editbench.engine.leaves import Leaf, tensors
from editbench.errors import BackendError, NotResident

if TYPE_CHECKING:
    import torch
    from torch.nn import Module


class _Mark(NamedTuple):
    address: int
    version: int  #: counted by torch for every change in place


class Seal:
    """How the moving tensors of a model were left. Buffers may change, and are not looked at."""

    def __init__(
        self, name: str, modules: Mapping[str, Module], *, moving: Layout, fixed: Layout
    ) -> None:
        self._name = name
        self._modules = modules
        self._moving = moving
        self._fixed = {id(leaf.tensor) for leaf in _leaves(fixed)}
        self._marks: dict[int, _Mark] = {}

    def set(self) -> None:
        """Take the tensors as they are now."""
        self._marks = {id(leaf.tensor): _mark(leaf.tensor) for leaf in _leaves(self._moving)}

    def check(self) -> None:
        """Raise ``BackendError``, naming the tensor, if one is not as it was left."""
        if not self._marks:
            return
        for name, tensor, buffer in tensors(self._modules):
            if buffer or id(tensor) in self._fixed:
                continue
            mark, now = self._marks.get(id(tensor)), _mark(tensor)
            if mark == now:
                continue
            if mark is None:
                fault = "was added or replaced"
            elif mark.address != now.address:
                fault = "was moved"
            else:
                fault = "was changed in place, which a change of model would undo,"
            raise BackendError(
                f"{self._name}: {name} {fault} after the model was adopted",
                hint="cast, fuse and add adapters in load(); leave moving models to editbench",
            )


def guard(modules: Mapping[str, Module], *, name: str, ready: Callable[[], bool]) -> None:
    """Make modules raise ``NotResident`` when called while ``ready`` is false.

    Their children too: a VAE's ``encode`` does not pass through its own ``forward``.
    """

    def check(module: Module, args: object) -> None:
        if not ready():
            raise NotResident(
                f"{type(module).__name__} of {name} was called while it is not on the device",
                hint="acquire and lease a model before each step",
            )

    for root in modules.values():
        for module in (root, *root.children()):
            module.register_forward_pre_hook(check)


def _mark(tensor: torch.Tensor) -> _Mark:
    # Tensors made under inference_mode have no version to compare.
    return _Mark(tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version)


def _leaves(layout: Layout) -> Iterator[Leaf]:
    return (leaf for group, _ in layout.groups for leaf in group.leaves)
