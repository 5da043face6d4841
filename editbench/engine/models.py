"""Brings the models that a phase needs onto the device, and lets go of the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from editbench.engine import phases as order
from editbench.engine.ahead import ReadAhead, nearly_done, seconds_to_read
from editbench.engine.events import Event, Loaded, Loading, Moving, Swapped, Swapping
from editbench.engine.lanes import Lane
from editbench.engine.memory import RESERVE, host_available
from editbench.engine.phases import PhaseStep, Role
from editbench.engine.plan import Plan
from editbench.engine.protocols import Model, Stop
from editbench.engine.residency import ResidencyManager


class Models:
    """The models of one device. Every call of theirs happens on the device's lane."""

    def __init__(
        self,
        models: Mapping[Role, Model],
        residency: ResidencyManager,
        lane: Lane,
        emit: Callable[[Event], None],
        *,
        stop: Stop,
    ) -> None:
        self.swaps = 0
        self.roles = models.keys()
        self._models = models
        self._residency = residency
        self._lane = lane
        self._emit = emit
        self._stop = stop
        self._loaded: set[Role] = set()
        self._apart = False  # each module of the editor is a model of its own
        self._streamed: dict[Role, int] = {}  # models too large to be owned, and their budgets
        self._names: dict[Role, tuple[str, ...]] = {}  # that the present step has on the device
        self._present: tuple[str, ...] = ()  # all of them
        self._ahead: dict[Role, ReadAhead] = {}
        self._last = ""  # what the device last worked for, in words
        self._move: tuple[str, int, int] | None = None  # model, bytes, copied before it began

    async def follow(self, plan: Plan) -> None:
        """Take note of what a plan's phases have on the device. Raises ``DoesNotFit``."""
        apart = any(step.part for step in plan.phases)
        streamed = {role: plan.budget(role) for role in plan.streamed if role in self._models}
        for role in sorted(self._loaded):
            changed = (role in streamed) != (role in self._streamed)
            if changed or (role == "edit" and apart != self._apart):
                await self._drop(role)
        self._apart, self._streamed = apart, streamed
        together = [
            tuple(name for name in self._own(names) if name not in streamed)
            for names in order.together(plan.phases)
        ]
        sizes = {name: plan.sizes[name] for names in together for name in names}
        self._residency.plan(
            sizes,
            together=together,
            reserve=plan.reserve(self._models),
            in_memory=plan.hosting.in_memory,
        )

    @property
    def bytes_per_second(self) -> float | None:
        """How fast models moved to the device so far; None before anything has."""
        seconds = sum(move.seconds for move in self._residency.moves)
        return sum(move.bytes for move in self._residency.moves) / seconds if seconds else None

    @property
    def resident(self) -> tuple[str, ...]:
        """Names of the models on the device, or of their modules."""
        streamed = self._loaded & self._streamed.keys()
        named = [name.partition(".") for name in (*self._residency.resident, *streamed)]
        return tuple(
            f"{self._models[role].name} {module}".strip()
            for role in self._models
            for owner, _, module in named
            if owner == role
        )

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

    async def ready(self, step: PhaseStep, roles: Sequence[Role], *, later: Sequence[Role]) -> None:
        """Make what a step needs resident for these roles; drop what is not needed ``later``.

        Raises ``Stopped`` where a move is given up, which can be made again.
        """
        for role in sorted(self._loaded - set(roles)):
            if role not in later or role in self._streamed:  # it cannot leave and come back
                await self._drop(role)
        present = self._own(step.models)
        self._names = {
            role: tuple(name for name in present if order.belongs(name, (role,))) or (role,)
            for role in roles
            if role not in self._streamed
        }
        old = self._last if self._present and order.changes(self._present, present) else ""
        self._present = present
        for role in roles:
            if role not in self._loaded:
                await self._load(role)
        # Twice, as a true size may turn out to displace what came before it.
        for role in (*roles, *roles):
            self._last = f"{self._models[role].name} {step.part if role == 'edit' else ''}".strip()
            await self._acquire(role, old)
            old = ""

    async def look_ahead(self, roles: Sequence[Role], done: Callable[[], int], total: int) -> None:
        """Begin to read the models that come next, once little of the present work is left."""
        for role in self._models.keys() & roles:
            if files := self._files(role):
                await nearly_done(done, total, seconds=seconds_to_read(files))
                self._ahead[role] = ReadAhead(files, most=host_available() - RESERVE)

    def _own(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return those that are models of this device, or modules of them."""
        return tuple(name for name in names if order.belongs(name, self._models))

    def _files(self, role: Role) -> Sequence[Path]:
        """Return the files that a model has yet to be read from; none if it is loaded."""
        model: Any = self._models[role]
        return model.files() if hasattr(model, "files") and role not in self._loaded else ()

    async def _load(self, role: Role) -> None:
        model = self._models[role]
        if role in self._ahead:
            self._ahead.pop(role).stop()  # two who read the same disk are no faster than one
        self._emit(Loading(time.time(), model.name, model.footprint))
        start = time.perf_counter()
        await self._lane.run(model.load)
        if role in self._streamed:
            size = await self._lane.run(self._stream, role)
            self._loaded.add(role)
            self._emit(Loaded(time.time(), model.name, size, time.perf_counter() - start))
            return
        modules = model.modules()
        models: dict[str, Mapping[str, Any]] = {role: modules}
        if role == "edit" and self._apart:
            models = {order.module(name): {name: module} for name, module in modules.items()}
        size = 0
        for name, members in models.items():
            size += await self._lane.run(self._residency.adopt, name, members)
        self._loaded.add(role)
        self._emit(Loaded(time.time(), model.name, size, time.perf_counter() - start))

    def _stream(self, role: Role) -> int:
        """Give a loaded model the device to itself; return the bytes it takes of it."""
        model: Any = self._models[role]
        budget = self._streamed[role]
        held = int(model.streaming(budget).held)
        self._residency.lend(held)
        spare = max(0, host_available() - RESERVE)
        try:
            model.stream(self._residency.device.place, budget=budget, host=spare)
        except BaseException:
            self._residency.take_back()
            raise
        return held

    def relieve(self, role: Role) -> bool:
        """Give steps that ran out of memory more of the device, if weights can spare it.

        Changes of models copy more afterwards. Returns whether the step is worth another attempt.
        On the lane's thread.
        """
        if len(self._names) > 1 or not self._residency.shrink():
            return False
        for name in self._names.get(role, ()):
            self._residency.acquire(name)
        return True

    async def _acquire(self, role: Role, old: str) -> None:
        names = self._names.get(role, ())
        missing = [name for name in names if name not in self._residency.resident]
        if not old and not missing:
            return
        size = sum(self._residency.missing(name) for name in missing)
        self._emit(Swapping(time.time(), old, self._last, size))
        self._move = (self._last, size, self._residency.device.copied_in)
        moved, seconds = 0, 0.0
        try:
            # Twice, as a true size may turn out to displace what came before it.
            for name in (*names, *names):
                move = await self._lane.run(self._residency.acquire, name, stop=self._stop)
                moved += move.bytes
                seconds += move.seconds
        finally:
            self._move = None
        self.swaps += bool(old)
        self._emit(Swapped(time.time(), old, self._last, moved, seconds, self.swaps))

    async def _drop(self, role: Role) -> None:
        for name in self._adopted(role):
            await self._lane.run(self._residency.forget, name)
        await self._lane.run(self._models[role].close)
        if role in self._streamed:
            await self._lane.run(self._residency.take_back)
        self._loaded.discard(role)

    def lease(self, role: Role) -> AbstractContextManager[object]:
        """Keep a model resident for the length of a step. On the lane's thread."""
        return self._residency.lease(*self._names.get(role, ()))

    def working(self, role: Role) -> int:
        """Return the most bytes that a step like the present ones took beside the weights.

        0 if that is not known, as of a model that moves its weights during the step.
        """
        if role in self._streamed:
            return 0
        return self._residency.working.get("+".join(self._names.get(role, ())), 0)

    def _adopted(self, role: Role) -> list[str]:
        if role in self._streamed:
            return []
        if role == "edit" and self._apart:
            return [order.module(name) for name in self._models[role].modules()]
        return [role]

    async def close(self) -> None:
        """Let go of every model and of the device's memory."""
        for ahead in self._ahead.values():
            ahead.stop()
        for role in sorted(self._loaded):
            await self._drop(role)
        await self._lane.run(self._residency.close)
