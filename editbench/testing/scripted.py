"""An editor and a judge that do as a script says: quick, deterministic, able to fail at will."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from editbench.engine.protocols import EditRequest, Question, Stop
from editbench.errors import EditbenchError, NotResident, OutOfMemory, Stopped
from editbench.records import Json, Reply, State

if TYPE_CHECKING:
    from PIL.Image import Image

#: nan: the pixels are not numbers; garbage: an image of a mode that nobody asked for
EditOutcome = Literal["ok", "oom", "error", "stop", "refuse", "nan", "garbage"]
#: cut: out of tokens half-way; garbage: no JSON; range: numbers above their limit
JudgeOutcome = Literal["ok", "oom", "error", "stop", "refuse", "cut", "garbage", "range"]
OutcomeT = TypeVar("OutcomeT", bound=str)

#: Outcomes of the requests as they come, or by pair; one word for a pair means every time.
Script = Sequence[OutcomeT] | Mapping[str, Sequence[OutcomeT] | OutcomeT]


class ScriptedFailure(EditbenchError):
    """A failure of a pair that a script asked for."""

    def __init__(self, message: str, *, state: State) -> None:
        super().__init__(message)
        self.state = state


class _Scripted(Generic[OutcomeT]):
    kind = ""

    def __init__(
        self,
        script: Script[OutcomeT] = (),
        *,
        name: str = "",
        version: int = 1,
        footprint: int = 0,
        weights: bool = False,
        working: int = 0,
        max_batch: int = 4,
        fits: int | None = None,
        step: Callable[[str], None] | None = None,
    ) -> None:
        """Take a script; what it does not mention is ok.

        ``weights`` makes ``footprint`` bytes of real torch parameters, checked at every call.
        ``fits`` is the largest batch that does not run out of memory. ``step`` is called with the
        pair's id before each request. ``calls`` records the pairs of every call.
        """
        self.calls: list[tuple[str, ...]] = []
        self.loads = 0
        self.closes = 0
        self.name = name or f"scripted-{self.kind}"
        self.footprint = footprint
        self.max_batch = max_batch
        self._version = version
        self._weights = weights
        self._working = working
        self._fits = fits
        self._step = step
        self._module: Any = None
        self._always: dict[str, OutcomeT] = {}
        self._by_pair: dict[str, list[OutcomeT]] = {}
        self._in_order: list[OutcomeT] = []
        if isinstance(script, Mapping):
            for pair, outcomes in script.items():
                if isinstance(outcomes, str):
                    self._always[pair] = outcomes
                else:
                    self._by_pair[pair] = list(outcomes)
        else:
            self._in_order = list(script)

    @property
    def identity(self) -> Mapping[str, Json]:
        return {"backend": "scripted", "name": self.name, "version": self._version}

    def working_bytes(self, width: int, height: int) -> int:
        return self._working

    def load(self) -> None:
        self.loads += 1
        if self._weights:
            import torch

            self._module = torch.nn.Module()
            values = torch.arange(self.footprint // 4, dtype=torch.float32)
            self._module.weight = torch.nn.Parameter(values, requires_grad=False)

    def modules(self) -> Mapping[str, Any]:
        return {} if self._module is None else {"model": self._module}

    def provenance(self) -> Mapping[str, Json]:
        return {"scripted": True}

    def close(self) -> None:
        self.closes += 1
        self._module = None

    def _begin(self, pairs: Sequence[str], stop: Stop) -> None:
        self.calls.append(tuple(pairs))
        if len(pairs) > self.max_batch:
            raise ValueError(f"{len(pairs)} requests, but at most {self.max_batch} at once")
        if self._module is not None:
            self._check_weights()
        if self._fits is not None and len(pairs) > self._fits:
            raise OutOfMemory(f"only {self._fits} fit at once")
        if stop():
            raise Stopped("stopped before a step")

    def _next(self, pair: str, stop: Stop) -> OutcomeT | Literal["ok"]:
        if self._step is not None:
            self._step(pair)
        if stop():
            raise Stopped("stopped at a step")
        outcome = self._outcome(pair)
        if outcome == "oom":
            raise OutOfMemory("scripted: out of memory")
        if outcome == "error":
            raise RuntimeError("scripted: something broke")
        if outcome == "stop":
            raise Stopped("scripted: stopped")
        return outcome

    def _outcome(self, pair: str) -> OutcomeT | Literal["ok"]:
        if pair in self._always:
            return self._always[pair]
        queue = self._by_pair.get(pair, self._in_order)
        return queue.pop(0) if queue else "ok"

    def _check_weights(self) -> None:
        import torch

        weight = self._module.weight
        right = torch.arange(self.footprint // 4, dtype=torch.float32, device=weight.device)
        if weight.shape != right.shape or not torch.equal(weight, right):
            raise NotResident(f"the weights of {self.name} are not in place")


class ScriptedEditor(_Scripted[EditOutcome]):
    """An editor that inverts and tints the image, unless its script says otherwise."""

    kind = "editor"

    def edit(self, requests: Sequence[EditRequest], *, stop: Stop) -> list[Image]:
        self._begin([request.pair_id for request in requests], stop)
        return [self._edit(request, self._next(request.pair_id, stop)) for request in requests]

    def _edit(self, request: EditRequest, outcome: EditOutcome) -> Image:
        from PIL import Image as Images
        from PIL import ImageOps

        if outcome == "refuse":
            raise ScriptedFailure("scripted: refused", state="refused")
        if outcome == "nan":
            raise ScriptedFailure("scripted: not numbers", state="edit_invalid")
        if outcome == "garbage":
            return Images.new("F", (8, 8), float("nan"))
        inverted = ImageOps.invert(request.images[-1].convert("RGB"))
        seed = hashlib.sha256(f"{request.instruction}\0{request.seed}".encode()).digest()
        return Images.blend(inverted, Images.new("RGB", inverted.size, tuple(seed[:3])), 0.25)


class ScriptedJudge(_Scripted[JudgeOutcome]):
    """A judge with valid replies that depend on the images, unless its script says otherwise."""

    kind = "judge"

    def ask(self, questions: Sequence[Question], *, stop: Stop) -> list[Reply]:
        self._begin([question.pair_id for question in questions], stop)
        return [self._reply(question, self._next(question.pair_id, stop)) for question in questions]

    def _reply(self, question: Question, outcome: JudgeOutcome) -> Reply:
        if outcome == "refuse":
            return Reply("I cannot help with that.", "refused", 6)
        if outcome == "garbage":
            return Reply("The edit looks fine to me.", "stop", 7)
        seen = hashlib.sha256(question.user.encode())
        for image in question.images:
            seen.update(image.tobytes())
        text = json.dumps(_answer(question.contract, seen.digest(), outcome == "range"))
        if outcome == "cut":
            return Reply(text[: len(text) // 2], "length", 8)
        return Reply(text, "stop", 16)


def _answer(schema: Mapping[str, Json], seed: bytes, above: bool) -> Json:
    """Return a value that a JSON schema allows, chosen by ``seed``; ``above`` breaks its maxima."""
    number = int.from_bytes(hashlib.sha256(seed).digest()[:4])
    if "enum" in schema:
        return schema["enum"][number % len(schema["enum"])]
    kind = schema.get("type")
    if kind == "object":
        return {
            name: _answer(inner, seed + name.encode(), above)
            for name, inner in schema.get("properties", {}).items()
        }
    if kind == "array":
        count = schema.get("minItems", 1)
        return [_answer(schema.get("items", {}), seed + bytes([i]), above) for i in range(count)]
    if kind in ("integer", "number"):
        low, high = int(schema.get("minimum", 0)), int(schema.get("maximum", 10))
        return high + 1 if above else low + number % (high - low + 1)
    if kind == "boolean":
        return bool(number % 2)
    return f"scripted {number:08x}"[: schema.get("maxLength", 40)]
