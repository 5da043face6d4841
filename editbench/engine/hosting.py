"""Where the masters of models live: in host memory, and in a file what that cannot hold. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from editbench.errors import DoesNotFit
from editbench.units import format_bytes


class Home(NamedTuple):
    """How many bytes of a model's master are where."""

    memory: int
    file: int

    def read(self, copied: int) -> int:
        """Return how many of so many bytes come from the file, whenever they are loaded."""
        return max(0, copied - self.memory)


def house(
    sizes: Mapping[str, int],
    *,
    alive: Sequence[Collection[str]],
    contested: Mapping[str, int],
    memory: int | None,
    disk: int | None,
) -> dict[str, Home]:
    """Return where each master lives. Sizes are in bytes; None is no limit.

    ``alive`` lists the sets of models whose masters are there at the same time. Of a model,
    ``contested`` bytes are loaded again at each change; those are the last to leave host memory,
    as only they are read more than once. Raises ``DoesNotFit`` if the disk cannot hold the rest.
    """
    held = dict(sizes)
    if memory is not None:
        for names in alive:
            for name, share in _shares(sizes, names, contested, memory).items():
                held[name] = min(held[name], share)
    homes = {name: Home(held[name], size - held[name]) for name, size in sizes.items()}
    for names in alive:
        needed = sum(homes[name].file for name in names)
        if disk is not None and needed > disk:
            raise DoesNotFit(
                f"{' and '.join(names)} together have {format_bytes(sum(sizes[n] for n in names))} "
                f"of weights; host memory has {format_bytes(memory or 0)} for them and the disk "
                f"{format_bytes(disk)}",
                hint="make room on the disk, set memory.folder to a larger one, or choose a "
                "smaller or quantized model",
            )
    return homes


def _shares(
    sizes: Mapping[str, int], names: Collection[str], contested: Mapping[str, int], memory: int
) -> dict[str, int]:
    left = max(0, memory)
    shares = dict.fromkeys(names, 0)
    for wanted in (contested, sizes):
        for name in names:
            more = min(left, min(wanted.get(name, 0), sizes[name]) - shares[name])
            shares[name] += more
            left -= more
    return shares
