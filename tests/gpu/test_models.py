"""Streamed and quantized models on a real GPU. Skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from editbench.backends.quantized import KINDS, PACKAGES
from editbench.engine.devices import open_device
from editbench.engine.memory import host_available
from editbench.engine.residency import ResidencyManager
from tests.backends.answers import answer, budgets, make

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]
EDITOR, JUDGE = "tiny/flux-kontext", "tiny/qwen3-vl"


@pytest.fixture(autouse=True)
def _home(shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("EDITBENCH_HOME", str(shared_home))
    yield


def resident(name: str, **settings: object) -> object:
    """What a model answers that lies on the GPU."""
    model = make(name, **settings)
    manager = ResidencyManager(open_device("cuda:0"))
    manager.plan({name: model.footprint})
    model.load()
    manager.adopt(name, model.modules())
    manager.acquire(name)
    with manager.lease(name):
        found = answer(model)
    manager.close()
    model.close()
    return found


@pytest.mark.parametrize("name", [EDITOR, JUDGE])
@pytest.mark.parametrize("pinned", [True, False])
def test_a_model_that_is_streamed_over_the_link_answers_as_one_that_lies_there(
    name: str, pinned: bool
) -> None:
    expected = resident(name)
    for budget in budgets(make(name)):
        model = make(name)
        model.load()
        host = host_available() if pinned else 0
        model.stream(torch.device("cuda", 0), budget=budget, host=host)
        assert answer(model) == expected
        assert answer(model) == expected
        model.close()


@pytest.mark.parametrize("name", [EDITOR, JUDGE])
@pytest.mark.parametrize("quantize", KINDS)
def test_a_quantized_model_works_where_it_was_moved_to(name: str, quantize: str) -> None:
    pytest.importorskip(PACKAGES[quantize], reason="quantizing library not installed")  # type: ignore[index]
    assert resident(name, quantize=quantize) == resident(name, quantize=quantize)
