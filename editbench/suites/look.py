"""What a suite knows of a pair, its faults included, so that all of them can be listed at once."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from editbench.errors import SuiteError
from editbench.records import Pair, Picture

Language = Literal["en", "zh"]  #: which texts a bilingual suite shows


class Suite(Protocol):
    """Pairs, read lazily: what ``engine.protocols.Suite`` says, which this room may not import."""

    @property
    def name(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Pair: ...

    def read(self, picture: Picture) -> bytes: ...


class Problem(NamedTuple):
    """One fault of a suite, and where it is."""

    place: str  #: file and position, such as ``pairs.csv:7``
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class Look(NamedTuple):
    """A pair as far as it can be read; what is missing is empty."""

    place: str
    pair: Pair
    faults: tuple[str, ...]

    def sound(self) -> Pair:
        """Return the pair. Raises ``SuiteError`` if it has faults."""
        if self.faults:
            lines = [str(Problem(self.place, fault)) for fault in self.faults]
            raise SuiteError(lines[0], problems=lines)
        return self.pair


NOTHING = Pair(id="", category="", instruction="", sources=())


def look(suite: Suite, index: int) -> Look:
    """Return what is known of a pair. Raises ``IndexError`` only.

    A suite that can show a pair with its faults has a method ``look`` of its own, which returns a
    ``Look``; others just raise.
    """
    if own := getattr(suite, "look", None):
        found: Look = own(index)
        return found
    place = f"{suite.name} item {index + 1}"
    try:
        pair = suite[index]
    except SuiteError as exc:
        return Look(place, NOTHING, exc.problems or (str(exc),))
    return Look(f"{place} ({pair.id})", pair, missing(pair))


def missing(pair: Pair) -> tuple[str, ...]:
    """Return a line for each thing that a pair must have and lacks."""
    have = {
        "id": pair.id.strip(),
        "category": pair.category.strip(),
        "instruction": pair.instruction.strip(),
        "source image": pair.sources,
    }
    return tuple(f"no {name}" for name, value in have.items() if not value)
