"""Small strings worth remembering between runs, such as which bytes decode to which pixels."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

from editbench.engine.store import Store
from editbench.errors import StoreError

BATCH = 256  #: entries written in one commit


class Memo(MutableMapping[str, str]):
    """A mapping over the store. Losing an entry costs time and nothing else.

    Entries are written in groups; ``flush`` writes the rest. One thread at a time.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._new: dict[str, str] = {}

    def __getitem__(self, key: str) -> str:
        if key in self._new:
            return self._new[key]
        header = self._store.header(key)
        if header is None:
            raise KeyError(key)
        return str(header["value"])

    def __setitem__(self, key: str, value: str) -> None:
        self._new[key] = value
        if len(self._new) >= BATCH:
            self.flush()

    def __delitem__(self, key: str) -> None:
        self._new.pop(key, None)
        self._store.delete(key)

    def __iter__(self) -> Iterator[str]:
        raise TypeError("a memo is looked up, not listed")

    def __len__(self) -> int:
        raise TypeError("a memo is looked up, not counted")

    def flush(self) -> None:
        """Write what is new. A store without room forgets it instead."""
        rows = [(key, {"value": value}, b"") for key, value in self._new.items()]
        self._new.clear()
        try:
            self._store.add_many(rows)
        except StoreError:
            return
