"""Puts records into the store with as few commits as their sizes allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from editbench.engine.disk import INLINE_LIMIT
from editbench.engine.store import Store
from editbench.records import Json

_SMALL = INLINE_LIMIT // 2  #: bytes of a payload that, with any header, lives in its row


class Row(NamedTuple):
    """A record before it is stored."""

    key: str
    header: Mapping[str, Json]
    payload: bytes


def add_together(store: Store, rows: Iterable[Row], *, vital: bool = False) -> int:
    """Store records, the small ones in one commit; all are durable on return.

    Returns how many were new. A ``vital`` record may use what is left of a full disk. Raises
    ``StoreFull`` and ``StoreError``; some of the records may be stored then.
    """
    small, new = [], 0
    for row in rows:
        if len(row.payload) < _SMALL:
            small.append(row)
        else:
            # Not together: that would keep other threads from writing for as long as it takes.
            new += store.add(*row, vital=vital)
    if len(small) == 1:
        return new + store.add(*small[0], vital=vital)
    return new + store.add_many(small, vital=vital) if small else new
