"""Weights that torchao and bitsandbytes quantized take turns on a device like any others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from editbench.engine.leaves import leaves
from editbench.engine.residency import ResidencyManager
from editbench.engine.simulated import SimDevice
from editbench.errors import BackendError


def plain(seed: int) -> Any:
    torch.manual_seed(seed)
    layers = (torch.nn.Linear(128, 256), torch.nn.GELU(), torch.nn.Linear(256, 128))
    return torch.nn.Sequential(*layers).to(torch.bfloat16).eval()


def by_torchao(config: str) -> Callable[[int], Any]:
    def build(seed: int) -> Any:
        quantization = pytest.importorskip("torchao.quantization")
        model = plain(seed)
        quantization.quantize_(model, getattr(quantization, config)())
        return model

    return build


def by_bitsandbytes(layer: str, **settings: Any) -> Callable[[int], Any]:
    def build(seed: int) -> Any:
        library = pytest.importorskip("bitsandbytes").nn
        model = plain(seed)
        for index in (0, 2):
            old = model[index]
            model[index] = getattr(library, layer)(old.in_features, old.out_features, **settings)
            model[index].load_state_dict(old.state_dict())
            model[index].bias = old.bias  # in the dtype that it is used in
        return model.to("cpu")  # quantizes

    return build


NF4 = {"quant_type": "nf4", "compute_dtype": torch.bfloat16}
KINDS = {
    "int8": by_torchao("Int8WeightOnlyConfig"),
    "fp8": by_torchao("Float8WeightOnlyConfig"),
    "int8 with int8 inputs": by_torchao("Int8DynamicActivationInt8WeightConfig"),
    "nf4": by_bitsandbytes("Linear4bit", compress_statistics=False, **NF4),
}
REFUSED = {
    "int8, which points weights elsewhere itself": by_bitsandbytes(
        "Linear8bitLt", has_fp16_weights=False
    ),
    "nf4 with statistics whose table is shared": by_bitsandbytes(
        "Linear4bit", compress_statistics=True, **NF4
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_quantized_models_answer_the_same_to_the_bit_after_swaps(kind: str) -> None:
    models = {name: KINDS[kind](seed) for seed, name in enumerate("ab")}
    x = torch.randn(4, 128, dtype=torch.bfloat16)
    with torch.no_grad():
        expected = {name: model(x) for name, model in models.items()}
    before = {name: id(model[0].weight) for name, model in models.items()}
    whole = ResidencyManager(SimDevice(10**6))
    size = whole.adopt("m", {"m": KINDS[kind](0)})
    manager = ResidencyManager(SimDevice(size + size // 3), verify="always")
    manager.plan(dict.fromkeys(models, size))
    for name, model in models.items():
        manager.adopt(name, {"m": model})
    for turn in range(3):
        for name, model in models.items():
            move = manager.acquire(name)
            assert move.bytes == (size if not turn else 2 * size - manager._region.bytes)
            with manager.lease(name), torch.no_grad():
                assert torch.equal(model(x), expected[name])
            assert id(model[0].weight) == before[name]
    for group in leaves({"a": models["a"]}):  # the one that is off the device now
        for leaf in group.leaves:
            assert not leaf.tensor.float().nan_to_num(0).any(), leaf.name
    assert manager.moved_back == 0


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_be_changed_behind_the_engines_back_is_refused(kind: str) -> None:
    with pytest.raises(BackendError, match="quantized by bitsandbytes in a way that") as caught:
        ResidencyManager(SimDevice(10**6)).adopt("m", {"m": REFUSED[kind](0)})
    assert len(caught.value.problems) == 2
