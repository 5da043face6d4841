"""Models that do nothing, to measure what the engine does: ``benchmarks/noop.py:NoopEditor``."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel

from editbench.engine.protocols import EditRequest, Question
from editbench.records import Json, Reply

BATCH = 16


class NoopSettings(BaseModel):
    """How long a step takes, and whether the model has weights that need the device."""

    seconds: float = 0.0
    weights: int = 0  #: bytes


class _Noop:
    Settings: ClassVar[type[BaseModel]] = NoopSettings
    steps: ClassVar[list[tuple[float, float]]]  #: when each of this process began and ended
    name = "noop"
    max_batch = BATCH

    def __init__(self, settings: NoopSettings) -> None:
        self._seconds = settings.seconds
        self.footprint = settings.weights
        self._modules: dict[str, Any] = {}

    @property
    def identity(self) -> Mapping[str, Json]:
        return {"backend": "noop"}

    def working_bytes(self, width: int, height: int) -> int:
        return 0

    def load(self) -> None:
        if self.footprint:
            import torch

            self._modules = {"model": torch.nn.Linear(self.footprint // 4, 1, bias=False)}

    def modules(self) -> Mapping[str, Any]:
        return self._modules

    def provenance(self) -> Mapping[str, Json]:
        return {}

    def close(self) -> None:
        self._modules = {}

    def _step(self) -> None:
        start = time.perf_counter()
        if self._seconds:
            time.sleep(self._seconds)  # without the interpreter's lock, as a device's step
        self.steps.append((start, time.perf_counter()))


class NoopEditor(_Noop):
    """An editor that returns the source."""

    steps: ClassVar[list[tuple[float, float]]] = []

    def edit(self, requests: Sequence[EditRequest], *, stop: object) -> list[Any]:
        self._step()
        return [request.images[0] for request in requests]


class NoopJudge(_Noop):
    """A judge that always replies the same."""

    steps: ClassVar[list[tuple[float, float]]] = []

    def ask(self, questions: Sequence[Question], *, stop: object) -> list[Reply]:
        self._step()
        return [REPLY for _ in questions]


REPLY = Reply(
    json.dumps(
        {
            "reason": "The hat is there, and nothing else has changed.",
            "following": 9,
            "preservation": 8,
            "quality": 7,
            "realism": 8,
        }
    ),
    tokens=40,
)
