from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from editbench.backends import processors, tiny
from editbench.backends.contracts import Contracts
from editbench.errors import BackendError, EditbenchError

from .pictures import CONTRACT


@pytest.fixture(scope="module")
def tokenizer(built: Path) -> object:
    return processors.load(tiny.checkpoint("tiny/qwen3-vl")).tokenizer


@pytest.fixture(scope="module")
def contracts(tokenizer: object) -> Contracts:
    return Contracts(tokenizer, vocabulary=len(tokenizer))  # type: ignore[arg-type]


def write(contracts: Contracts, tokenizer: object, schema: dict[str, object], seed: int) -> str:
    """Let random logits write until the contract ends the reply."""
    size = len(tokenizer)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(seed)
    held = contracts.processor([schema], prompt=1)
    ids = torch.zeros(1, 1, dtype=torch.long)
    while (last := int(ids[0, -1])) != tokenizer.eos_token_id or ids.shape[1] == 1:  # type: ignore[attr-defined]
        scores = held(ids, torch.randn(1, size, generator=generator))
        ids = torch.cat([ids, scores.argmax(-1, keepdim=True)], dim=1)
        assert ids.shape[1] < 2000, last
    return str(tokenizer.decode(ids[0, 1:-1]))  # type: ignore[attr-defined]


@given(seed=st.integers(0, 10**6), low=st.integers(-3, 3), span=st.integers(0, 200))
@settings(max_examples=25)
def test_any_random_writer_keeps_names_order_bounds_and_length(
    contracts: Contracts, tokenizer: object, seed: int, low: int, span: int
) -> None:
    schema = {
        "type": "object",
        "properties": {
            "z": {"type": "string", "maxLength": 12},
            "a": {"type": "integer", "minimum": low, "maximum": low + span},
        },
        "required": ["z", "a"],
        "additionalProperties": False,
    }
    value = json.loads(write(contracts, tokenizer, schema, seed))
    assert list(value) == ["z", "a"]
    assert low <= value["a"] <= low + span and len(value["z"]) <= 12


def test_a_contract_that_cannot_be_held_is_refused(contracts: Contracts) -> None:
    with pytest.raises(BackendError, match="contract cannot be enforced"):
        contracts.processor([{"type": "no such type"}], prompt=1)


def test_a_token_that_the_contract_forbids_is_noticed(
    contracts: Contracts, tokenizer: object
) -> None:
    held = contracts.processor([CONTRACT], prompt=1)
    scores = torch.zeros(1, len(tokenizer))  # type: ignore[arg-type]
    held(torch.tensor([[0]]), scores)
    with pytest.raises(EditbenchError, match="left its contract"):
        held(torch.tensor([[0, 1]]), scores)


def test_a_tokenizer_that_cannot_be_held_says_what_to_set() -> None:
    with pytest.raises(BackendError) as caught:
        Contracts(object(), vocabulary=10)
    assert "constrained = false" in caught.value.hint
