"""Compiled models are compiled once: a swap changes what their guards look at, but not the code."""

from __future__ import annotations

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from editbench.engine.simulated import SimDevice
from editbench.errors import NotResident
from tests.engine.stage import ROLES, TIGHT, Stage, expected


@pytest.mark.slow
def test_swaps_compile_nothing_anew_and_change_no_output() -> None:
    stage = Stage(SimDevice(TIGHT))
    counter = CompileCounterWithBackend("aot_eager")
    plain = dict(stage.models)
    stage.models = {name: torch.compile(model, backend=counter) for name, model in plain.items()}
    compiled = []
    for _ in range(3):
        for name in ROLES:
            stage.manager.acquire(name)
            assert torch.equal(stage.run(name), expected(name))
            compiled.append(counter.frame_count)
        with pytest.raises(NotResident):
            ROLES["editor"].run(stage.models["editor"])
    assert 0 < compiled[0] < compiled[1]
    assert compiled[1:] == [compiled[1]] * 5
    torch.compiler.reset()
