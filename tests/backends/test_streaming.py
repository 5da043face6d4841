"""Models that are larger than their device, streamed by accelerate and diffusers for real."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from editbench.backends import streaming
from editbench.backends.streaming import Piece
from editbench.errors import BackendError
from tests.backends.aligned import BOUNDARY, place
from tests.backends.answers import answer, budgets, make

CPU = torch.device("cpu")
EDITORS = ["tiny/qwen-image-edit", "tiny/flux-kontext", "tiny/instruct-pix2pix"]
JUDGES = ["tiny/qwen3-vl", "tiny/qwen3-vl-moe", "tiny/llava"]


@pytest.fixture(autouse=True)
def _home(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield


@pytest.mark.parametrize("name", EDITORS + JUDGES)
def test_a_streamed_model_answers_as_one_that_lies_on_the_device(name: str, tmp_path: Path) -> None:
    whole = make(name)
    whole.load()
    buffer = place(whole.modules())
    expected = answer(whole)
    least, most = budgets(whole)
    assert whole.streaming(least).moved > whole.streaming(most).moved
    for budget in (least, most):
        model = make(name)
        known = model.streaming(budget)
        assert known.held <= budget
        model.load()
        model.stream(CPU, budget=budget, host=0)
        assert answer(model) == expected
        assert answer(model) == expected
        assert any(files for _, _, files in os.walk(model._folder.name)), "nothing lies in files"
        model.close()
        assert not list(tmp_path.glob("editbench-*"))
    del buffer


@pytest.mark.parametrize("name", JUDGES)
def test_what_stays_is_what_was_announced(name: str) -> None:
    judge = make(name)
    for budget in budgets(judge):
        known = judge.streaming(budget)
        judge.load()
        judge.stream(CPU, budget=budget, host=0)
        (module,) = judge.modules().values()
        away = [weight.is_meta for weight in module.parameters()]
        here = sum(weight.nbytes for weight in module.parameters() if not weight.is_meta)
        assert any(away)
        assert here == judge.footprint - known.moved
        answer(judge)
        tied = module.get_input_embeddings().weight, module.get_output_embeddings().weight
        assert not module.config.tie_word_embeddings or tied[0].is_meta == tied[1].is_meta
        judge.close()


@pytest.mark.parametrize("name", [EDITORS[2], JUDGES[0]])
def test_what_the_processor_computes_with_lies_on_boundaries(name: str) -> None:
    model = make(name)
    model.load()
    loaded = [weight for part in model.modules().values() for weight in part.parameters()]
    assert any(weight.data_ptr() % BOUNDARY for weight in loaded)
    model.stream(CPU, budget=budgets(model)[-1], host=0)
    kept = [weight for weight in loaded if not weight.is_meta and weight.numel()]
    assert kept and not any(weight.data_ptr() % BOUNDARY for weight in kept)
    model.close()


@pytest.mark.parametrize("name", EDITORS + JUDGES)
def test_what_comes_for_a_layer_lies_on_boundaries(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    for layer in (torch.nn.Linear, torch.nn.Conv2d):

        def forward(self: Any, *args: Any, plain: Any = layer.forward) -> Any:
            seen.append(self.weight.data_ptr() % BOUNDARY)
            return plain(self, *args)

        monkeypatch.setattr(layer, "forward", forward)
    model = make(name)
    model.load()
    model.stream(CPU, budget=budgets(model)[0], host=0)
    answer(model)
    assert len(seen) > 20 and not any(seen)
    model.close()


def test_too_small_a_device_is_said_before_loading_and_refused_after() -> None:
    for name in (EDITORS[1], JUDGES[0]):
        model = make(name)
        assert model.streaming(1000) is None
        model.load()
        with pytest.raises(BackendError, match=r"1\.00 kB"):
            model.stream(CPU, budget=1000, host=0)


def test_quantized_weights_are_not_streamed() -> None:
    pytest.importorskip("torchao", reason="pip install torchao to test quantized models")
    assert make(JUDGES[0], quantize="int8").streaming(10**9) is None


def test_a_models_pieces_are_its_blocks_and_the_layers_outside_of_them() -> None:
    tensors = {
        "model.visual.blocks.0.attn.q.weight": 4,
        "model.visual.blocks.0.attn.q.bias": 1,
        "model.visual.blocks.0.mlp.weight": 3,
        "model.visual.blocks.10.mlp.weight": 3,
        "model.embed.weight": 7,
        "model.tower.token": 1,
        "model.tower.patch.weight": 5,
        "lm_head.weight": 7,
    }
    assert streaming.pieces(tensors) == [
        Piece("lm_head", 7, 7),
        Piece("model.embed", 7, 7),
        Piece("model.tower", 6, 5),
        Piece("model.visual.blocks.0", 8, 5),
        Piece("model.visual.blocks.10", 3, 3),
    ]


@given(
    sizes=st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=8),
    budget=st.integers(0, 300),
    ahead=st.integers(0, 1),
)
def test_what_stays_and_what_comes_fit_together(
    sizes: list[tuple[int, int]], budget: int, ahead: int
) -> None:
    made = [Piece(f"p{i}", a + b, a) for i, (a, b) in enumerate(sizes)]
    choice = streaming.choose(made, budget, ahead=ahead)
    if choice is None:
        assert budget < (1 + ahead) * max(piece.layer for piece in made)
        return
    stay = [piece for piece in made if piece.name in choice.stay]
    come = [piece for piece in made if piece.name not in choice.stay]
    layers = (1 + ahead) * max(piece.layer for piece in come)
    assert choice.takes.held == sum(piece.bytes for piece in stay) + layers <= budget
    assert choice.takes.moved == sum(piece.bytes for piece in come)
