"""What an edit is between two of its parts: durable in the store until the next part is.

A state belongs to an edit's key and to the part that made it. Only the editor knows what it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from editbench.engine.spill import PREFIX as EDIT
from editbench.engine.store import Store
from editbench.errors import StoreFull
from editbench.units import format_bytes

PREFIX = "i:"  #: of the keys of states: what is intermediate


class State(NamedTuple):
    """What a part left, and what it took to get there."""

    payload: bytes = b""
    seconds: float = 0.0  #: on the device, over all parts so far


class States:
    """The states of one editor's edits. Any thread."""

    def __init__(self, store: Store, *, form: str, parts: Sequence[str]) -> None:
        """``parts`` are in order. States of another ``form`` are as good as none."""
        self.parts = tuple(parts)
        self._store = store
        self._form = form
        self._largest: dict[str, int] = {}

    def reached(self) -> dict[str, int]:
        """Return how many parts are done, for each edit's key that has a state."""
        found: dict[str, int] = {}
        for name, header in self._store.headers(PREFIX):
            edit, _, part = name.removeprefix(PREFIX).partition(":")
            if part in self.parts and header["form"] == self._form:
                self._note(part, header["bytes"])
                done = self.parts.index(part) + 1
                found[EDIT + edit] = max(done, found.get(EDIT + edit, 0))
        return found

    def size(self, part: str) -> int:
        """Return the bytes of the largest state of a part that was seen here; 0 before any."""
        return self._largest.get(part, 0)

    @property
    def largest(self) -> int:
        """The bytes of the largest state of any part that was seen here; 0 before any."""
        return max(self._largest.values(), default=0)

    def is_past(self, key: str, part: str) -> bool:
        """Return whether a part of an edit is done, or one after it, or the edit."""
        later = self.parts[self.parts.index(part) :]
        return key in self._store or any(self._has(key, each) for each in later)

    def get(self, key: str, part: str) -> State | None:
        """Return what a part left; None if it is not there, or damaged. Raises ``StoreError``."""
        record = self._store.get(_name(key, part))
        if record is None or record.header["form"] != self._form:
            return None
        return State(record.payload, record.header["seconds"])

    def put(self, key: str, part: str, state: State) -> None:
        """Store what a part left; durable on return. Then forget what the parts before it left.

        What is there already stays: the same parts of the same edit leave the same. Raises
        ``StoreFull``, ``StoreError``.
        """
        size = len(state.payload)
        self._note(part, size)
        name = _name(key, part)
        if name in self._store and not self._has(key, part):
            self._store.delete(name)
        header = {"form": self._form, "bytes": size, "seconds": state.seconds}
        self._store.add(name, header, state.payload)
        self.drop(key, before=part)

    def drop(self, key: str, *, before: str = "") -> None:
        """Delete an edit's states, or those of the parts before one."""
        for part in self.parts:
            if part == before:
                return
            if (name := _name(key, part)) in self._store:
                self._store.delete(name)

    def tidy(self) -> None:
        """Delete the states of edits that are stored."""
        for name, _ in list(self._store.headers(PREFIX)):
            if EDIT + name.removeprefix(PREFIX).partition(":")[0] in self._store:
                self._store.delete(name)

    def expect(self, size: int) -> None:
        """Raise ``StoreFull`` if there is no room for a state of so many bytes."""
        if size > (room := self._store.room()):
            raise StoreFull(
                f"no room in {self._store.folder} for {format_bytes(size)} between two parts of an "
                f"edit: {format_bytes(room)} left",
                hint="make room on the disk, or give the store a larger budget",
            )

    def _has(self, key: str, part: str) -> bool:
        header = self._store.header(_name(key, part))
        return header is not None and header["form"] == self._form

    def _note(self, part: str, size: int) -> None:
        self._largest[part] = max(size, self.size(part))


def _name(key: str, part: str) -> str:
    return f"{PREFIX}{key.removeprefix(EDIT)}:{part}"
