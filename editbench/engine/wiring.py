"""What a run is made of, and what it would do with it now."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from editbench.engine.claims import Claims
from editbench.engine.costs import CostBook
from editbench.engine.devices import Device
from editbench.engine.events import Phase
from editbench.engine.ledger import Ledger
from editbench.engine.memory import RESERVE
from editbench.engine.needs import Need, Room
from editbench.engine.phases import Keep, Role
from editbench.engine.plan import Plan
from editbench.engine.planner import make_plan
from editbench.engine.protocols import Editor, Judge, Model, Part
from editbench.engine.spill import Spill
from editbench.engine.stages import LoadImages
from editbench.engine.states import States
from editbench.engine.steps import Limits
from editbench.engine.store import Store


@dataclass(frozen=True, slots=True)
class Weights:
    """Where weights may be that are not on the device."""

    host_bytes: int | None = None  #: of host memory; None for no limit
    folder: Path = Path(gettempdir())  #: for those that host memory cannot hold
    keep: bool = False  #: also for later runs

    def file_bytes(self) -> int:
        """Return the bytes that the disk has for them now."""
        there = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        return max(0, shutil.disk_usage(there).free - RESERVE)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run is made of."""

    ledger: Ledger
    claims: Claims
    editor: Editor
    judge: Judge
    store: Store
    spill: Spill
    states: States | None  #: None for an editor that cannot work in parts
    devices: Sequence[Device]  #: one for both models, or the editor's and the judge's
    host_bytes: int  #: for decoded images
    weights: Weights
    load_images: LoadImages
    edit_batch: int
    score_batch: int
    limits: Limits
    early_scores: bool = False
    keep: Keep = "all"

    def costs(self) -> CostBook:
        """Return the book of what these models cost on these devices."""
        return CostBook(
            self.store, self.place, editor=self.editor.identity, judge=self.judge.identity
        )

    def device(self, role: Role) -> Device:
        """Return the device that a model works on."""
        return self.devices[0 if role == "edit" else -1]

    @property
    def place(self) -> str:
        """The names of the devices, for people."""
        return ", ".join(device.name for device in self.devices)


def plan_run(parts: Parts) -> Plan:
    """Return what a run of these parts would do now. Raises ``DoesNotFit``."""
    room = Room(
        parts.device("edit").name,
        parts.device("edit").limit,
        parts.store.room(),
        parts.weights.host_bytes,
        parts.weights.file_bytes(),
    )
    editor = _need(parts.editor, parts, "edit", parts.edit_batch)
    judge = _need(parts.judge, parts, "score", parts.score_batch)
    steps = [max(editor.working, judge.working)] * 2
    if len(parts.devices) > 1:
        own = parts.device("score")
        room = replace(room, judge_device=own.name, judge_bytes=own.limit)
        steps = [editor.working, judge.working]
    return make_plan(
        replace(parts.ledger.work(), state_bytes=_state_bytes(parts)),
        _with_ways_out(editor, parts.editor, steps[0], room.of("edit")),
        _with_ways_out(judge, parts.judge, steps[1], room.of("score")),
        room,
        costs=parts.costs().read(),
        early_scores=parts.early_scores,
        keep=parts.keep,
    )


def _need(model: Model, parts: Parts, phase: Phase, batch: int) -> Need:
    apart = divided(model) if phase == "edit" else ()
    if parts.device(phase).name == "cpu":  # a pretend device counts weights alone
        return Need(model.name, model.footprint, parts=apart)
    working = parts.costs().working(phase)
    if working is None:  # never run here: the backend's estimate has to do
        working = max((model.working_bytes(*size) for size in _sizes(parts)), default=0)
    return Need(model.name, model.footprint, working * batch, apart)


def _with_ways_out(need: Need, model: Any, step: int, room: Room) -> Need:
    """Add what a model could do on a device that does not hold it, as far as it can say."""
    if room.device_bytes is None or room.holds(need.weights + step):
        return need
    smaller = model.smaller() if hasattr(model, "smaller") else {}
    if not hasattr(model, "streaming"):
        return replace(need, smaller=smaller)
    streaming = model.streaming(room.device_bytes - need.working)
    return replace(need, smaller=smaller, streaming=streaming)


def divided(editor: Model) -> Sequence[Part]:
    """Return the parts that an editor can work in; none for most."""
    return tuple(getattr(editor, "parts", ()))


def _state_bytes(parts: Parts) -> int:
    if not parts.states:
        return 0
    editor: Any = parts.editor
    estimate = max((editor.state_bytes(*size) for size in _sizes(parts)), default=0)
    return parts.states.largest or estimate


def _sizes(parts: Parts) -> set[tuple[int, int]]:
    known = (facts for facts in parts.ledger.facts if not isinstance(facts, str))
    return {size for facts in known for size in facts.sizes}
