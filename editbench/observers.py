"""Observers of a run, such as trackers: told of everything, dropped at their first error."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from editbench.backends import registry
from editbench.config import ObserverConfig
from editbench.engine.events import Event
from editbench.engine.protocols import Observer

_log = logging.getLogger(__name__)


class _Named(NamedTuple):
    name: str
    observer: Observer


class Observers:
    """Passes events on. A run never fails because of who looks at it."""

    def __init__(self, chosen: Sequence[ObserverConfig]) -> None:
        """Make the observers. Raises ``BackendError``, ``ConfigError``."""
        self._all = [
            _Named(one.use, registry.make("observer", one.use, one.settings())) for one in chosen
        ]

    def __call__(self, event: Event) -> None:
        """Hand an event to every observer that is left."""
        for named in list(self._all):
            try:
                named.observer(event)
            except Exception as exc:  # another's code may raise anything
                self._all.remove(named)
                _log.warning(
                    "the observer %s failed and is told no more: %s: %s",
                    *(named.name, type(exc).__name__, exc),
                    exc_info=_log.isEnabledFor(logging.DEBUG) and exc,
                )
