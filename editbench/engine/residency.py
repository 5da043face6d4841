"""The one owner of what is on the device: it alone moves models and empties the allocator's cache.

Weights do not change, so their host copy is the master and taking a model off the device copies
nothing. Does not decide when to change models (see planner) and runs none. Every call comes from
the thread that runs the models.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from editbench.engine import arena
from editbench.engine.adopted import Adopted
from editbench.engine.arena import Layout
from editbench.engine.devices import Device, Stop, never
from editbench.engine.leaves import Loose, leaves, loose
from editbench.engine.masters import Master
from editbench.engine.placement import Extent, Placement, Together, aligned, overlay, total
from editbench.engine.region import Region
from editbench.engine.seals import Seal, guard
from editbench.engine.weightfile import WeightFolder
from editbench.errors import MachineError, NotResident, OutOfMemory
from editbench.units import format_bytes

if TYPE_CHECKING:
    import torch
    from torch.nn import Module

Verify = Literal["off", "first", "always"]

log = logging.getLogger(__name__)


class Move(NamedTuple):
    """A change of the model on the device; ``old`` is the one that had to leave, if any."""

    old: str
    new: str
    bytes: int  #: copied to the device
    seconds: float
    from_disk: int = 0  #: how many of the bytes were read from a file


class ResidencyManager:
    """Holds the masters of all models in host memory, and on the device those that fit.

    ``verify`` says when the device's bytes are compared with the master: after the first load of
    each model, after every one, or never. ``clock`` returns seconds. What host memory is not to
    hold goes to files in ``folder``; with ``keep_files`` a later run finds them there.
    """

    def __init__(
        self,
        device: Device,
        *,
        verify: Verify = "first",
        folder: Path | None = None,
        keep_files: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.device = device
        self.moves: list[Move] = []  #: every change so far
        self.working: dict[
            str, int
        ] = {}  #: most bytes that a step took, by its models joined with +
        self._verify = verify
        self._clock = clock
        self._models: dict[str, Adopted] = {}
        self._region = Region(device)
        self._folder = WeightFolder(device, folder or Path(gettempdir()), keep=keep_files)
        self._allowed: Mapping[str, int] = {}
        self._latest = ""
        self._lent = 0  # bytes, while a model that moves itself is on the device

    @property
    def resident(self) -> tuple[str, ...]:
        """The models that can run now."""
        return tuple(model.name for model in list(self._models.values()) if model.resident)

    @property
    def used(self) -> int:
        """Bytes of the device taken by weights, room kept for them included."""
        homes = sum(model.home.numel() for model in self._models.values())
        return self._region.bytes + homes + self._lent

    @property
    def host_used(self) -> int:
        """Bytes of masters in host memory; none where host memory is the device's."""
        masters = sum(model.master.memory.numel() for model in self._models.values())
        return masters + self._folder.bytes_in_memory

    @property
    def on_disk(self) -> int:
        """Bytes of masters in files."""
        return sum(model.master.on_disk for model in self._models.values())

    @property
    def pageable(self) -> int:
        """Bytes of masters that could not be pinned, and so move several times slower."""
        masters = (model.master for model in self._models.values())
        return sum(master.memory.numel() for master in masters if not master.pinned)

    @property
    def moved_back(self) -> int:
        """Bytes copied from the device to the host: 0, always."""
        return self.device.copied_back

    def plan(
        self,
        sizes: Mapping[str, int],
        *,
        together: Collection[Together] = (),
        reserve: int = 0,
        in_memory: Mapping[str, int] = MappingProxyType({}),
    ) -> Placement:
        """Say how many bytes the models will have, before all of them are there.

        Estimates do: adopting a model corrects its size. Models that are needed ``together`` do not
        displace each other. ``reserve`` bytes of the device stay free for what models need beside
        their weights. Of those models whose masters host memory cannot hold, ``in_memory`` says how
        many bytes of it they get. Raises ``DoesNotFit``.
        """
        self._allowed = in_memory
        if self.device.unified:
            return overlay(sizes, capacity=sum(map(aligned, sizes.values())))
        known = {name: model.moving.bytes for name, model in self._models.items()}
        return self._region.plan({**sizes, **known}, together=together, reserve=reserve)

    def adopt(self, name: str, modules: Mapping[str, Any]) -> int:
        """Take charge of a loaded model and return its bytes on the device, alignment included.

        Its weights go to their final place in host memory. It can run at once if that is the
        device's memory, or if it has no weights. Raises ``BackendError`` for weights that cannot be
        owned, ``OutOfMemory``, ``MachineError``; the model is then as it was.
        """
        if name in self._models:
            raise ValueError(f"{name!r} is adopted already")
        model = self._take(name, modules)
        self._models[name] = model
        if model.moving.bytes:
            self._region.resize(name, model.moving.bytes)
            model.seal.set()
        else:
            model.resident = True
        guard(modules, name=name, ready=lambda: model.resident)
        log.debug("adopted %s, %s, not moved: %s", name, format_bytes(model.bytes), model.loose)
        return model.bytes

    def bytes(self, name: str) -> int:
        """Return the bytes of an adopted model on the device, alignment included."""
        return self._model(name).bytes

    def loose(self, name: str) -> Loose:
        """Return how many tensors a model has as plain attributes. They are left to the model."""
        return self._model(name).loose

    def missing(self, name: str) -> int:
        """Return the bytes that ``acquire`` would copy now. Raises ``DoesNotFit``."""
        model = self._model(name)
        return 0 if model.resident else total(self._region.claim(name).missing)

    def acquire(self, name: str, *, stop: Stop = never) -> Move:
        """Make a model ready to run, copying only the bytes that the device lacks.

        Raises ``RuntimeError`` while another model is leased, ``BackendError`` if someone else
        changed or moved weights, ``DoesNotFit``, ``OutOfMemory``, ``Stopped``, and ``MachineError``
        if the device fails. After any of them the masters are whole and the call can be repeated.
        """
        model = self._model(name)
        started = self._clock()
        for each in self._models.values():
            each.seal.check()
        copied, read = (0, 0) if model.resident else self._load(model, stop)
        old = self._latest if self._latest not in (name, *self.resident) else ""
        self._latest = name
        move = Move(old, name, copied, self._clock() - started, read)
        if old or copied:
            self.moves.append(move)
        return move

    @contextmanager
    def lease(self, *names: str) -> Iterator[None]:
        """Keep models where they are for the length of a step. Raises ``NotResident``."""
        models = [self._model(name) for name in names]
        for model in models:
            if not model.resident:
                raise NotResident(
                    f"{model.name} is not on {self.device.name}", hint="acquire it first"
                )
        for model in models:
            model.leases += 1
        self.device.mark()
        try:
            yield
        finally:
            step = "+".join(names)
            self.working[step] = max(self.working.get(step, 0), self.device.taken())
            for model in models:
                model.leases -= 1

    def lend(self, size: int) -> None:
        """Leave the device to a model that moves itself and takes up to ``size`` bytes.

        Every other model leaves it, and none comes until ``take_back``. Raises ``RuntimeError``
        while a model is leased.
        """
        _refuse_leased(self._models.values(), "lend the device")
        self._clear()
        self._lent = size

    def take_back(self) -> None:
        """Take note that the model that had the device to itself is gone."""
        self._lent = 0
        self.trim()

    def evict(self, name: str) -> None:
        """Take a model off the device; nothing is copied. A model that never moves stays.

        Raises ``RuntimeError`` while it is leased, ``BackendError`` as ``acquire`` does.
        """
        model = self._model(name)
        _refuse_leased([model], f"evict {name}")
        model.seal.check()
        if model.moving.bytes:
            self._unbind(model)
            self._region.discard(name)

    def forget(self, name: str) -> None:
        """Drop a model and its master. Its modules cannot run any more, and say so.

        Raises ``RuntimeError`` while it is leased.
        """
        model = self._model(name)
        _refuse_leased([model], f"forget {name}")
        self._unbind(model)
        self._region.discard(name)
        arena.unbind(model.fixed, self.device.place)
        model.master.close()
        self.device.release(model.home)
        model.home = arena.host_memory(0)  # the guard outlives the model, and must not hold it
        model.resident = False
        del self._models[name]

    def close(self) -> None:
        """Drop every model and give all memory back."""
        for name in list(self._models):
            self.forget(name)
        self._folder.close()
        self._region.drop()
        self.trim()

    def shrink(self) -> bool:
        """Give the steps as much of the device as can be had, after one ran out of memory.

        The weights' region is cut down to the largest model, so every later change of models
        copies more. No model is resident afterwards. Returns False, and changes nothing, if there
        is nothing to gain. Raises ``RuntimeError`` while a model is leased.
        """
        _refuse_leased(self._models.values(), "shrink the region")
        if not self._region.tighten():
            return False
        self._clear()
        return True

    def trim(self) -> None:
        """Give back to the device what the allocator keeps for later."""
        self.device.empty_cache()

    def _model(self, name: str) -> Adopted:
        if name not in self._models:
            raise ValueError(f"{name!r} is not adopted; {', '.join(self._models) or 'nothing'} is")
        return self._models[name]

    def _take(self, name: str, modules: Mapping[str, Module]) -> Adopted:
        still = self.device.unified
        groups = leaves(modules)
        fixed = arena.lay_out(group for group in groups if group.fixed or still)
        moving = arena.lay_out(group for group in groups if not (group.fixed or still))
        seal = Seal(name, modules, moving=moving, fixed=fixed)
        home = self._allocate(fixed.bytes)
        try:
            if not still:
                self._copy_fixed(fixed, home)
            held = self._held(name, moving.bytes)
            master = Master(name, moving, self.device, held=held, folder=self._folder)
        except BaseException:
            self.device.release(home)
            raise
        # Nothing fails from here on, so that no model is left half taken.
        if still:
            arena.fill(fixed, home)
        else:
            arena.bind(fixed, home)
        model = Adopted(name, modules, loose(modules), moving, fixed, home, master, seal)
        model.sums = [] if self._verify == "off" else master.sums()
        return model

    def _held(self, name: str, size: int) -> Extent:
        """Return which part of a master is to be in host memory: that which is loaded again."""
        allowed = self._allowed.get(name, size)
        if allowed >= size:
            return Extent(0, size)
        if not self._region.end_is_contested(name, size):
            return Extent(0, allowed // arena.PIECE * arena.PIECE)
        start = -(-(size - allowed) // arena.PIECE) * arena.PIECE
        return Extent(min(start, size), size)

    def _allocate(self, size: int) -> torch.Tensor:
        try:
            return self.device.allocate(size)
        except OutOfMemory:
            if not self._region.bytes:
                raise
        # The region took all there is. It comes back a little smaller at the next load.
        _refuse_leased(self._models.values(), "adopt a model")
        self._clear()
        return self.device.allocate(size)

    def _clear(self) -> None:
        """Take every model off the device that moves, and give the region back."""
        for model in self._models.values():
            self._unbind(model)
        self._region.drop()
        self.trim()

    def _copy_fixed(self, fixed: Layout, home: torch.Tensor) -> None:
        staged = arena.host_memory(fixed.bytes)
        for group, offset in fixed.groups:
            staged[offset : offset + group.bytes] = arena.group_bytes(group)
        with self._device_errors("copying buffers"):
            self.device.copy(home, staged)
            self.device.synchronize()
            if self._verify != "off" and arena.checksums(home) != arena.checksums(staged):
                raise RuntimeError("they arrived damaged")

    def _load(self, model: Adopted, stop: Stop) -> tuple[int, int]:
        others = [other for other in self._models.values() if other is not model]
        _refuse_leased(others, f"load {model.name}")
        if self._lent:
            raise RuntimeError(f"cannot load {model.name} while the device is lent")
        missing, lost = self._region.claim(model.name)
        for name in lost:
            self._unbind(self._models[name])
        if self._region.outgrown:
            self._region.drop()
            self.trim()
        read = 0

        def send(start: int, target: torch.Tensor) -> None:
            nonlocal read
            read += model.master.send(start, target, stop=stop)

        with self._device_errors(f"loading {model.name}"):
            memory = self._region.load(model.name, send)
            if self._verify == "always" or (self._verify == "first" and not model.verified):
                self._check(model, memory)
        model.bind(memory)
        return total(missing), read

    def _check(self, model: Adopted, memory: torch.Tensor) -> None:
        if wrong := model.damaged(memory):
            self._region.discard(model.name)
            names = arena.piece_names(model.moving, wrong[0])
            raise MachineError(
                f"{model.name} arrived damaged on {self.device.name}, in {len(wrong)} of "
                f"{len(model.sums)} pieces; the first holds {', '.join(names[:3])}",
                hint="try again; if it recurs, test the machine's memory",
            )
        model.verified = True

    def _unbind(self, model: Adopted) -> None:
        if model.moving.bytes:
            model.unbind(self.device.place)

    @contextmanager
    def _device_errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except RuntimeError as exc:
            raise MachineError(f"{self.device.name} failed while {doing}: {exc}") from exc


def _refuse_leased(models: Iterable[Adopted], purpose: str) -> None:
    leased = [model.name for model in models if model.leases]
    if leased:
        raise RuntimeError(f"cannot {purpose} while {' and '.join(leased)} is leased")
