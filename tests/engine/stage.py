"""Both models adopted on one device, and what they give when nothing ever moves."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch

from editbench.engine.arena import lay_out
from editbench.engine.devices import CpuDevice
from editbench.engine.leaves import leaves
from editbench.engine.residency import ResidencyManager
from tests.engine.networks import denoise, judge, score, transformer


class Role(NamedTuple):
    build: Callable[[], Any]
    run: Callable[[Any], torch.Tensor]


ROLES = {"editor": Role(transformer, denoise), "judge": Role(judge, score)}


def moving(model: Any) -> int:
    """Bytes of a model that move, in its arena."""
    return lay_out(group for group in leaves({"m": model}) if not group.fixed).bytes


EDITOR, JUDGE = moving(transformer()), moving(judge())
SIZES = {"editor": EDITOR, "judge": JUDGE}
TIGHT = JUDGE + 100_000  #: bytes that hold either model and not both


class Stage:
    """Both models adopted on one device. ``in_memory`` limits what host memory holds of each."""

    def __init__(
        self, device: Any, *, in_memory: dict[str, int] | None = None, **settings: Any
    ) -> None:
        self.device = device
        self.manager = ResidencyManager(device, **settings)
        self.manager.plan(SIZES, in_memory=in_memory or {})
        self.models = {name: role.build() for name, role in ROLES.items()}
        for name, model in self.models.items():
            self.manager.adopt(name, {"model": model})

    def run(self, name: str) -> torch.Tensor:
        with self.manager.lease(name):
            return ROLES[name].run(self.models[name])

    def addresses(self, name: str) -> list[int]:
        return [tensor.data_ptr() for tensor in self.models[name].parameters()]

    def intact(self) -> bool:
        """Whether each model still can be loaded and gives what an untouched one gives."""
        return all(
            self.manager.acquire(name) and torch.equal(self.run(name), expected(name))
            for name in ROLES
        )


@cache
def expected(name: str) -> torch.Tensor:
    """Return what a model gives on the host's own memory, where nothing moves."""
    output = Stage(CpuDevice()).run(name)
    assert not output.isnan().any()
    return output
