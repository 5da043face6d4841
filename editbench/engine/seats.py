"""A device as a run uses it: the thread that works on it, what is on it, and who keeps it fed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from editbench.engine.devices import Device
from editbench.engine.events import Event
from editbench.engine.lanes import Lane
from editbench.engine.memory import ByteLimit
from editbench.engine.models import Models
from editbench.engine.phases import Role
from editbench.engine.protocols import Model
from editbench.engine.residency import ResidencyManager
from editbench.engine.scheduler import Control, Scheduler
from editbench.engine.wiring import Parts


class Seat(NamedTuple):
    """One device of a run."""

    lane: Lane
    residency: ResidencyManager
    models: Models
    scheduler: Scheduler


def take_seats(
    parts: Parts,
    *,
    pool: Lane,
    limit: ByteLimit,
    control: Control,
    emit: Callable[[Event], None],
) -> dict[Role, Seat]:
    """Return where each model works: both in one place, or each on a device of its own."""

    def seat(device: Device, models: Mapping[Role, Model]) -> Seat:
        lane = Lane(device.name)
        weights = parts.weights
        residency = ResidencyManager(device, folder=weights.folder, keep_files=weights.keep)
        scheduler = Scheduler(
            lane=lane, pool=pool, limit=limit, control=control, limits=parts.limits, emit=emit
        )
        here = Models(models, residency, lane, emit, stop=lambda: control.now)
        return Seat(lane, residency, here, scheduler)

    models: dict[Role, Model] = {"edit": parts.editor, "score": parts.judge}
    if len(parts.devices) > 1:
        return {role: seat(parts.device(role), {role: model}) for role, model in models.items()}
    return dict.fromkeys(models, seat(parts.device("edit"), models))
