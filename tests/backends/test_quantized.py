"""Quantized weights, by the real libraries on the tiny checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from editbench.backends import quantized
from editbench.backends.quantized import KINDS
from editbench.engine.devices import open_device
from editbench.engine.leaves import tensors
from editbench.engine.residency import ResidencyManager
from editbench.errors import BackendError
from tests.backends.answers import answer, make

for package in set(quantized.PACKAGES.values()):
    pytest.importorskip(package, reason=f"pip install {package} to test quantized models")

MODELS = [
    "tiny/qwen-image-edit",
    "tiny/flux-kontext",
    "tiny/instruct-pix2pix",
    "tiny/qwen3-vl",
    "tiny/qwen3-vl-moe",
]


@pytest.fixture(autouse=True)
def _home(built: Path) -> Iterator[None]:
    yield


@pytest.mark.parametrize("quantize", KINDS)
@pytest.mark.parametrize("model", MODELS)
def test_bytes_are_known_before_anything_is_loaded(model: str, quantize: str) -> None:
    for dtype in ("fp32", "bf16"):
        made = make(model, quantize=quantize, dtype=dtype)
        predicted = made.footprint
        made.load()
        weights = [tensor for _, tensor, buffer in tensors(made.modules()) if not buffer]
        assert predicted == sum(tensor.nbytes for tensor in weights)
        assert predicted < make(model, dtype=dtype).footprint
        made.close()


@pytest.mark.parametrize("quantize", KINDS)
def test_quantized_models_answer_the_same_to_the_bit_after_swaps(quantize: str) -> None:
    editor = make("tiny/flux-kontext", quantize=quantize)
    judge = make("tiny/qwen3-vl", quantize=quantize)
    sizes = {"edit": editor.footprint, "score": judge.footprint}
    manager = ResidencyManager(
        open_device("cpu", budget=int(max(sizes.values()) * 1.4)), verify="always"
    )
    manager.plan(sizes)
    for role, model in (("edit", editor), ("score", judge)):
        model.load()
        manager.adopt(role, model.modules())
    answers: dict[str, list[object]] = {"edit": [], "score": []}
    for _ in range(3):
        for role, model in (("edit", editor), ("score", judge)):
            assert manager.acquire(role).bytes
            with manager.lease(role):
                answers[role].append(answer(model))
    assert all(each == [each[0]] * 3 for each in answers.values())
    assert manager.moved_back == 0
    manager.close()


def test_quantizing_is_part_of_the_identity_and_recorded() -> None:
    plain = make("tiny/qwen3-vl")
    made = make("tiny/qwen3-vl", quantize="int8")
    assert made.identity == {**plain.identity, "quantize": "int8"}
    assert "torchao" in made.provenance()["versions"]
    assert "torchao" not in plain.provenance()["versions"]


def test_the_output_layer_and_what_must_stay_exact_are_left_alone() -> None:
    import torch

    class Odd(torch.nn.Module):
        _keep_in_fp32_modules = ("wo",)

        def __init__(self) -> None:
            super().__init__()
            self.one, self.wo, self.head = (torch.nn.Linear(64, 64) for _ in range(3))
            self.attention = torch.nn.MultiheadAttention(64, 2)

        def get_output_embeddings(self) -> torch.nn.Module:
            return self.head

    assert list(quantized.layers(Odd())) == ["one"]
    odd, vae = Odd(), torch.nn.Linear(64, 64)
    quantized.quantize({"transformer": odd, "vae": vae}, "nf4")
    assert odd.one.weight.dtype == torch.uint8
    assert vae.weight.dtype == odd.wo.weight.dtype == torch.float32


def test_a_missing_library_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(quantized.PACKAGES, "nf4", "no_such_library")
    with pytest.raises(BackendError, match=r"nf4.*no_such_library") as caught:
        make("tiny/qwen3-vl", quantize="nf4")
    assert "pip install 'editbench[quantize]'" in caught.value.hint
