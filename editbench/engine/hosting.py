"""Where the masters of models live: in host memory, and in a file what that cannot hold. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from editbench.engine import phases as order
from editbench.engine.phases import PhaseStep
from editbench.errors import DoesNotFit
from editbench.units import format_bytes


class Home(NamedTuple):
    """How many bytes of a model's master are where."""

    memory: int
    file: int


@dataclass(frozen=True, slots=True)
class Hosting:
    """Where every master lives, and what that costs over a plan."""

    homes: Mapping[str, Home] = field(default_factory=dict)
    written: int = 0  #: bytes that go to files, once
    read: int = 0  #: bytes that come from them, over all loads

    @property
    def in_memory(self) -> Mapping[str, int]:
        """Bytes of host memory for each model that does not get as many as it has."""
        return {name: home.memory for name, home in self.homes.items() if home.file}

    def describe(self) -> str:
        """Return what it costs in words; empty if host memory holds everything."""
        if not self.written:
            return ""
        return (
            f"host memory cannot hold all weights: {format_bytes(self.written)} go to disk once "
            f"and {format_bytes(self.read)} are read back"
        )


def host(
    phases: Sequence[PhaseStep],
    sizes: Mapping[str, int],
    loads: Sequence[tuple[str, int]],
    *,
    streamed: Collection[str] = (),
    memory: int | None,
    disk: int | None,
) -> Hosting:
    """Return where the masters live that these phases need, given their loads in order.

    ``memory`` and ``disk`` are the bytes for them; None is no limit. Those that are ``streamed``
    have theirs in memory, always. Raises ``DoesNotFit``.
    """
    loads = [load for load in loads if load[0] not in streamed]
    if not loads:
        return Hosting()
    if memory is not None:
        memory = max(0, memory - sum(sizes[name] for name in streamed))
    phases = [
        replace(step, models=tuple(name for name in step.models if name not in streamed))
        for step in phases
    ]
    seen: set[str] = set()
    again = dict.fromkeys((name for name, _ in loads), 0)
    for name, size in loads:
        if name in seen:
            again[name] = max(again[name], size)
        seen.add(name)
    used = {name: sizes[name] for name in again}
    homes = house(used, alive=order.alive(phases), again=again, memory=memory, disk=disk)
    read = sum(min(homes[name].file, max(0, size - homes[name].memory)) for name, size in loads)
    return Hosting(homes, sum(home.file for home in homes.values()), read)


def house(
    sizes: Mapping[str, int],
    *,
    alive: Sequence[Collection[str]],
    again: Mapping[str, int],
    memory: int | None,
    disk: int | None,
) -> dict[str, Home]:
    """Return where each master lives. Sizes are in bytes; None is no limit.

    ``alive`` lists the sets of models whose masters are there at the same time. ``again`` says how
    many bytes of a model are loaded more than once; they are the last to leave host memory. Raises
    ``DoesNotFit`` if the disk cannot hold what does.
    """
    held = dict(sizes)
    if memory is not None:
        for names in alive:
            for name, share in _shares(sizes, names, again, memory).items():
                held[name] = min(held[name], share)
    homes = {name: Home(held[name], size - held[name]) for name, size in sizes.items()}
    for names in alive:
        if disk is not None and sum(homes[name].file for name in names) > disk:
            raise DoesNotFit(
                f"host memory has {format_bytes(memory or 0)} for weights and the disk "
                f"{format_bytes(disk)}, and {' and '.join(names)} "
                f"have {format_bytes(sum(sizes[name] for name in names))}",
                hint="make room on the disk, set memory.folder to a larger one, or choose a "
                "smaller or quantized model",
            )
    return homes


def _shares(
    sizes: Mapping[str, int], names: Collection[str], again: Mapping[str, int], memory: int
) -> dict[str, int]:
    left = max(0, memory)
    shares = dict.fromkeys(names, 0)
    for wanted in (again, sizes):
        for name in names:
            more = min(left, wanted.get(name, 0) - shares[name])
            shares[name] += more
            left -= more
    return shares
