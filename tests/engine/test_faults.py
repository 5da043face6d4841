"""Every fault of a device at every step of a session: nothing is lost or leaks, and it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from editbench.engine import arena, devices
from editbench.engine.residency import ResidencyManager
from editbench.engine.simulated import Faults, SimDevice
from editbench.errors import MachineError, NotResident, Stopped
from tests.engine.stage import JUDGE, ROLES, SIZES, TIGHT, expected
from tests.engine.test_masters import opened

#: of faults, and where masters are in the runs that everybody waits for; the others are slow
KINDS = {
    "allocation": "in memory",
    "registration": "in files",
    "copy": "in memory",
    "damage": "in memory",
    "read": "in files",
    "wait": "in memory",
    "stop": "in files",
}
#: no memory for a later model's buffers: the region gives way, and the step works at once
HEALED = {"allocation": 1}
MASTERS = {"in memory": None, "in files": {"editor": 0, "judge": JUDGE // 2}}


class Session:
    """The steps of a run, one after the other, and what must be true between any two of them."""

    def __init__(self, folder: Path, in_memory: dict[str, int] | None) -> None:
        self.device = SimDevice(TIGHT)
        self.manager = ResidencyManager(self.device, verify="always", folder=folder)
        self.models = {name: role.build() for name, role in ROLES.items()}
        self.sums: dict[str, list[int]] = {}
        self.stop_at = 0
        self._folder = folder
        self._in_memory = in_memory or {}

    def steps(self) -> dict[str, Callable[[], object]]:
        manager = self.manager
        return {
            "plan": lambda: manager.plan(SIZES, in_memory=self._in_memory),
            "adopt the editor": lambda: self.adopt("editor"),
            "load the editor": lambda: self.load("editor"),
            "adopt the judge": lambda: self.adopt("judge"),
            "swap to the judge": lambda: self.load("judge"),
            "swap back": lambda: self.load("editor"),
            "evict the editor": lambda: manager.evict("editor"),
            "load the editor again": lambda: self.load("editor"),
            "shrink": manager.shrink,
            "load after shrinking": lambda: self.load("judge"),
            "forget the editor": lambda: manager.forget("editor"),
            "use what is left": lambda: self.load("judge"),
        }

    def adopt(self, name: str) -> None:
        self.manager.adopt(name, {"model": self.models[name]})
        self.sums[name] = self.manager._models[name].master.sums()

    def load(self, name: str) -> None:
        self.manager.acquire(name, stop=self._stop)
        with self.manager.lease(name):
            assert torch.equal(ROLES[name].run(self.models[name]), expected(name))

    def _stop(self) -> bool:
        self.device.counts["stop"] += 1
        return self.device.counts["stop"] == self.stop_at

    def arm(self, kind: str, nth: int) -> None:
        """Have something go wrong the ``nth`` time from now."""
        at = self.device.counts[kind] + nth
        if kind == "stop":
            self.stop_at = at
        else:
            self.device.faults = Faults(**{kind: at})

    def check(self) -> None:
        """Masters are whole, a model is there whole or says so, and every byte is accounted for."""
        manager, device = self.manager, self.device
        adopted = manager._models
        assert {name: adopted[name].master.sums() for name in adopted} == {
            name: self.sums[name] for name in adopted
        }
        for name in adopted:
            if name in manager.resident:
                with manager.lease(name):
                    assert torch.equal(ROLES[name].run(self.models[name]), expected(name))
            else:
                with pytest.raises(NotResident):
                    ROLES[name].run(self.models[name])
        assert TIGHT - device.free() == manager.used
        assert device.pinned <= manager.host_used
        assert len(opened(self._folder)) == sum(
            adopted[name].master.on_disk > 0 for name in adopted
        )
        assert manager.moved_back == 0

    def close(self) -> None:
        self.manager.close()
        assert self.device.free() == TIGHT
        assert self.device.pinned == self.manager.host_used == self.manager.used == 0
        assert opened(self._folder) == []


@contextmanager
def small_parts() -> Iterator[None]:
    """Cut weights so that a load of a few hundred kilobytes has many places to fail at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "CHUNK", 96 << 10)
        patch.setattr(arena, "PIECE", 64 << 10)
        yield


class Place(NamedTuple):
    step: str
    nth: int


def places(folder: Path, in_memory: dict[str, int] | None, kind: str) -> list[Place]:
    """The first and the last time that something happens in each step of a whole session."""
    session = Session(folder, in_memory)
    found = []
    for step, act in session.steps().items():
        before = session.device.counts[kind]
        act()
        times = session.device.counts[kind] - before
        found += [Place(step, nth) for nth in sorted({1, times}) if times]
    session.close()
    return found


@pytest.mark.parametrize(
    ("masters", "kind"),
    [
        pytest.param(masters, kind, marks=[] if masters == where else pytest.mark.slow)
        for kind, where in KINDS.items()
        for masters in MASTERS
    ],
)
def test_after_any_fault_at_any_step_masters_are_whole_and_the_step_works(
    tmp_path: Path, kind: str, masters: str
) -> None:
    with small_parts():
        found = places(tmp_path, MASTERS[masters], kind)
        assert bool(found) == (kind != "read" or masters == "in files")
        failures = 0
        for place in found:
            session = Session(tmp_path, MASTERS[masters])
            for step, act in session.steps().items():
                if step == place.step:
                    session.arm(kind, place.nth)
                    try:
                        act()
                    except (MachineError, Stopped):
                        failures += 1
                        session.check()
                        act()
                    session.check()
                else:
                    act()
            session.check()
            session.close()
    assert failures == len(found) - HEALED.get(kind, 0) or kind == "registration"
    print(f"{kind} with masters {masters}: {len(found)} places")
