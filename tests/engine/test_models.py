"""Models: who is loaded, and how far a move is."""

from __future__ import annotations

import threading

import anyio
import pytest

from editbench.engine.devices import Stop, never
from editbench.engine.events import Event, Moving
from editbench.engine.lanes import Lane
from editbench.engine.models import Models
from editbench.engine.phases import PhaseStep
from editbench.engine.residency import ResidencyManager
from editbench.engine.simulated import SimDevice

SIZE = 4096


class Held(SimDevice):
    """Stops in the middle of a copy until it may go on."""

    def __init__(self) -> None:
        super().__init__(1 << 20)
        self.half = threading.Event()
        self.go_on = threading.Event()

    def copy(self, target, source, *, stop: Stop = never) -> None:  # type: ignore[no-untyped-def]
        if source.numel() < SIZE:
            return super().copy(target, source, stop=stop)
        middle = source.numel() // 2
        super().copy(target[:middle], source[:middle], stop=stop)
        self.half.set()
        assert self.go_on.wait(10)
        super().copy(target[middle:], source[middle:], stop=stop)


class Weights:
    """A model of a known size."""

    name = "weights"
    footprint = SIZE

    def load(self) -> None:
        import torch

        self.layer = torch.nn.Linear(SIZE // 4, 1, bias=False)

    def modules(self) -> dict[str, object]:
        return {"layer": self.layer}

    def close(self) -> None:
        pass


@pytest.mark.anyio
async def test_a_move_tells_how_many_bytes_have_arrived() -> None:
    device, lane = Held(), Lane("sim")
    events: list[Event] = []
    residency, never = ResidencyManager(device), lambda: False
    models = Models({"edit": Weights()}, residency, lane, events.append, stop=never)  # type: ignore[dict-item]
    step = PhaseStep("edit", 1, edits=[0], models=("edit",))
    seen: Moving | None = None
    assert models.loaded == ()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: models.ready(step, ["edit"], later=["edit"]))
        await anyio.to_thread.run_sync(device.half.wait)
        seen = models.moving()
        device.go_on.set()
    assert seen is not None and (seen.new, seen.done, seen.bytes) == ("weights", SIZE // 2, SIZE)
    assert models.moving() is None
    assert [event.kind for event in events] == ["load.start", "load", "swap.start", "swap"]
    assert models.loaded == models.resident == ("weights",)
    lane.close()
