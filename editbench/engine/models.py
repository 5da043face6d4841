"""Brings the models that a phase needs onto the device, and lets go of the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Literal

from editbench.engine.events import Event, Loaded, Loading, Moving, Swapped, Swapping
from editbench.engine.lanes import Lane
from editbench.engine.protocols import Model
from editbench.engine.residency import ResidencyManager

Role = Literal["edit", "score"]


class Models:
    """The editor and the judge of a run. Every call of theirs happens on the device's lane."""

    def __init__(
        self,
        models: Mapping[Role, Model],
        residency: ResidencyManager,
        lane: Lane,
        emit: Callable[[Event], None],
        *,
        reserve: int,
    ) -> None:
        self.swaps = 0
        self._models = models
        self._residency = residency
        self._lane = lane
        self._emit = emit
        self._loaded: set[Role] = set()
        self._last: Role | None = None  # whose phase the device last worked for
        self._alone = True  # one model at a time, rather than both
        self._move: tuple[str, int, int] | None = None  # model, bytes, copied before it began
        sizes: dict[str, int] = {role: model.footprint for role, model in models.items()}
        residency.plan(sizes, reserve=reserve)

    @property
    def bytes_per_second(self) -> float | None:
        """How fast models moved to the device so far; None before anything has."""
        seconds = sum(move.seconds for move in self._residency.moves)
        return sum(move.bytes for move in self._residency.moves) / seconds if seconds else None

    @property
    def resident(self) -> tuple[str, ...]:
        """Names of the models on the device."""
        return tuple(self._models[role].name for role in self._models if self._on_device(role))

    @property
    def loaded(self) -> tuple[str, ...]:
        """Names of the models in host memory."""
        return tuple(self._models[role].name for role in self._models if role in self._loaded)

    def moving(self) -> Moving | None:
        """Return how far the model is that is being moved, if one is."""
        if self._move is None:
            return None
        name, size, before = self._move
        done = self._residency.device.copied_in - before
        return Moving(time.time(), name, min(done, size), size)

    def _on_device(self, role: Role) -> bool:
        return role in self._loaded and role in self._residency.resident

    async def ready(self, roles: Sequence[Role], *, later: Sequence[Role]) -> None:
        """Make the models of these roles resident; drop those that are not needed ``later``."""
        for role in sorted(self._loaded - {*roles, *later}):
            await self._drop(role)
        self._alone = len(roles) == 1
        for role in roles:
            if role not in self._loaded:
                await self._load(role)
            await self._acquire(role)

    async def _load(self, role: Role) -> None:
        model = self._models[role]
        self._emit(Loading(time.time(), model.name, model.footprint))
        start = time.perf_counter()
        await self._lane.run(model.load)
        size = await self._lane.run(self._residency.adopt, role, model.modules())
        self._loaded.add(role)
        self._emit(Loaded(time.time(), model.name, size, time.perf_counter() - start))

    def relieve(self, role: Role) -> bool:
        """Give steps that ran out of memory more of the device, if weights can spare it.

        Changes of models copy more afterwards. Returns whether the step is worth another attempt.
        On the lane's thread.
        """
        if not self._alone or not self._residency.shrink():
            return False
        self._residency.acquire(role)
        return True

    async def _acquire(self, role: Role) -> None:
        model = self._models[role]
        changes = self._alone and self._last not in (None, role)
        old = self._models[self._last].name if changes and self._last else ""
        if not changes and self._on_device(role):
            self._last = role
            return
        size = self._residency.missing(role)
        self._emit(Swapping(time.time(), old, model.name, size))
        self._move = (model.name, size, self._residency.device.copied_in)
        try:
            move = await self._lane.run(self._residency.acquire, role)
        finally:
            self._move = None
        self.swaps += bool(old)
        self._last = role
        self._emit(Swapped(time.time(), old, model.name, move.bytes, move.seconds, self.swaps))

    async def _drop(self, role: Role) -> None:
        await self._lane.run(self._residency.forget, role)
        await self._lane.run(self._models[role].close)
        self._loaded.discard(role)

    def lease(self, role: Role) -> AbstractContextManager[object]:
        """Keep a model resident for the length of a step. On the lane's thread."""
        return self._residency.lease(role)

    async def close(self) -> None:
        """Let go of every model and of the device's memory."""
        for role in sorted(self._loaded):
            await self._drop(role)
        await self._lane.run(self._residency.close)
