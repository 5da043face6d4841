"""Holds a judge's generation to a JSON schema, token by token.

The schema decides what may be said, never which of it: scores stay the model's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from editbench.errors import BackendError, EditbenchError
from editbench.records import Json


class Contracts:
    """Compiled schemas for one tokenizer. Compiling takes milliseconds, so each is kept."""

    def __init__(self, tokenizer: Any, *, vocabulary: int) -> None:
        import llguidance.hf

        try:
            self._tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary)
        except ValueError as exc:
            raise BackendError(
                f"{type(tokenizer).__name__} cannot hold a judge to a contract: {exc}",
                hint="set constrained = false; replies are then parsed as they come",
            ) from exc
        self._grammars: dict[str, str] = {}

    def processor(self, contracts: Sequence[Mapping[str, Json]], *, prompt: int) -> Any:
        """Return a logits processor for a batch; ``prompt`` is its padded length in tokens."""
        return _Held([self._matcher(contract) for contract in contracts], prompt)

    def _matcher(self, contract: Mapping[str, Json]) -> Any:
        from llguidance import LLMatcher

        schema = json.dumps(dict(contract), ensure_ascii=False)
        if schema not in self._grammars:
            grammar = LLMatcher.grammar_from_json_schema(
                schema, defaults={"whitespace_flexible": False}
            )
            if problem := LLMatcher.validate_grammar(grammar, self._tokenizer):
                raise BackendError(f"the judge's contract cannot be enforced: {problem}")
            self._grammars[schema] = grammar
        return LLMatcher(self._tokenizer, self._grammars[schema])


class _Held:
    """Called by ``generate`` before every token; forbids what the contract of each row forbids."""

    def __init__(self, matchers: Sequence[Any], prompt: int) -> None:
        self._matchers = matchers
        self._prompt = prompt

    def __call__(self, ids: Any, scores: Any) -> Any:
        import numpy as np
        import torch
        from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

        if bool(torch.isnan(scores).any()):
            raise EditbenchError("the judge's logits are not numbers", hint="try dtype = 'fp32'")
        last = ids[:, -1].tolist() if ids.shape[1] > self._prompt else []
        bits = allocate_token_bitmask(len(self._matchers), scores.shape[1])
        for row, matcher in enumerate(self._matchers):
            if last and not matcher.is_stopped():
                matcher.consume_token(last[row])
            if matcher.is_error():
                raise EditbenchError(f"the judge left its contract: {matcher.get_error()}")
            fill_next_token_bitmask(matcher, bits, row)  # of a finished row: the end token alone
        allowed = np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little")
        mask = torch.from_numpy(allowed[:, : scores.shape[1]].astype(bool)).to(scores.device)
        return scores.masked_fill(~mask, float("-inf"))
