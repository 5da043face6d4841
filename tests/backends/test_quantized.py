"""Quantized weights, by the real libraries on the tiny checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from editbench.backends import quantized, registry
from editbench.backends.quantized import KINDS
from editbench.engine.devices import open_device
from editbench.engine.keys import pixel_hash
from editbench.engine.leaves import tensors
from editbench.engine.protocols import EditRequest, Question
from editbench.engine.residency import ResidencyManager
from editbench.errors import BackendError
from editbench.suites.rubrics import load_rubric

for package in set(quantized.PACKAGES.values()):
    pytest.importorskip(package, reason=f"pip install {package} to test quantized models")

MODELS = [
    ("editor", "diffusers", "tiny/qwen-image-edit"),
    ("editor", "diffusers", "tiny/flux-kontext"),
    ("editor", "diffusers", "tiny/instruct-pix2pix"),
    ("judge", "transformers", "tiny/qwen3-vl"),
    ("judge", "transformers", "tiny/qwen3-vl-moe"),
]


@pytest.fixture(autouse=True)
def _home(built: Path) -> Iterator[None]:
    yield


def make(kind: Any, use: str, model: str, **settings: Any) -> Any:
    return registry.make(kind, use, {"model": model, **settings})


@pytest.mark.parametrize("quantize", KINDS)
@pytest.mark.parametrize(("kind", "use", "model"), MODELS, ids=[model for *_, model in MODELS])
def test_bytes_are_known_before_anything_is_loaded(
    kind: str, use: str, model: str, quantize: str
) -> None:
    for dtype in ("fp32", "bf16"):
        made = make(kind, use, model, quantize=quantize, dtype=dtype)
        predicted = made.footprint
        made.load()
        weights = [tensor for _, tensor, buffer in tensors(made.modules()) if not buffer]
        assert predicted == sum(tensor.nbytes for tensor in weights)
        assert predicted < make(kind, use, model, dtype=dtype).footprint
        made.close()


@pytest.mark.parametrize("quantize", KINDS)
def test_quantized_models_answer_the_same_to_the_bit_after_swaps(quantize: str) -> None:
    editor = make("editor", "diffusers", "tiny/flux-kontext", quantize=quantize)
    judge = make("judge", "transformers", "tiny/qwen3-vl", quantize=quantize)
    sizes = {"edit": editor.footprint, "score": judge.footprint}
    manager = ResidencyManager(
        open_device("cpu", budget=int(max(sizes.values()) * 1.4)), verify="always"
    )
    manager.plan(sizes)
    for role, model in (("edit", editor), ("score", judge)):
        model.load()
        manager.adopt(role, model.modules())
    source = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    prompt = load_rubric("default").prompt("physical", "Make it brighter.")
    request = EditRequest("a", (source,), "Make it brighter.", 7)
    question = Question("a", (source, source), prompt.system, prompt.user, prompt.contract)
    edits, replies = [], []
    for _ in range(3):
        manager.acquire("edit")
        with manager.lease("edit"):
            edits.append(pixel_hash(*editor.edit([request], stop=lambda: False)))
        assert manager.acquire("score").bytes
        with manager.lease("score"):
            replies += judge.ask([question], stop=lambda: False)
    assert len(set(edits)) == len({reply.text for reply in replies}) == 1
    assert manager.moved_back == 0
    manager.close()


def test_quantizing_is_part_of_the_identity_and_recorded() -> None:
    plain = make("judge", "transformers", "tiny/qwen3-vl")
    made = make("judge", "transformers", "tiny/qwen3-vl", quantize="int8")
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
        make("judge", "transformers", "tiny/qwen3-vl", quantize="nf4")
    assert "pip install 'editbench[quantize]'" in caught.value.hint
