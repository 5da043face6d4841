"""Small strings worth remembering between runs, such as which bytes decode to which pixels."""

from __future__ import annotations

from collections.abc import Sequence

from editbench.engine.store import Store
from editbench.errors import StoreError

BATCH = 256  #: entries written in one commit


class Memo:
    """Texts by name, in the store. Losing one costs time and nothing else.

    They are written in groups; ``flush`` writes the rest. One thread at a time.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._new: dict[str, str] = {}

    def recall(self, names: Sequence[str]) -> dict[str, str]:
        """Return what is known under these names, at the cost of one query."""
        headers = self._store.headers_of([name for name in names if name not in self._new])
        new = {name: self._new[name] for name in names if name in self._new}
        return new | {name: str(header["value"]) for name, header in headers.items()}

    def remember(self, name: str, text: str) -> None:
        """Keep a text under a name."""
        self._new[name] = text
        if len(self._new) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what is new. A store without room forgets it instead."""
        rows = [(name, {"value": text}, b"") for name, text in self._new.items()]
        self._new.clear()
        try:
            self._store.add_many(rows)
        except StoreError:
            return
