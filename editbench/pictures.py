"""Finds a finished run's pictures again: sources in its suite, edits in its store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from editbench.backends import home
from editbench.engine.spill import Spill
from editbench.engine.store import Store
from editbench.errors import EditbenchError
from editbench.report.result import RunResult
from editbench.suites.images import decode
from editbench.suites.look import Suite, look
from editbench.suites.open import open_suite

if TYPE_CHECKING:
    from PIL.Image import Image


class RunPictures:
    """A run's pictures, as far as they are still where the run found and left them."""

    def __init__(self, suite: Suite | None, places: dict[str, int], spill: Spill | None) -> None:
        """Take a suite with the places of the wanted pairs in it, and a store of edits."""
        self._suite = suite
        self._places = places
        self._spill = spill
        self.missing = 0  #: pictures asked for and not found

    def sources(self, pair: str) -> tuple[Image, ...]:
        """Return a pair's source images; nothing if they are gone."""
        if self._suite is None or pair not in self._places:
            return ()
        try:
            sources = self._suite[self._places[pair]].sources
            return tuple(decode(self._suite.read(picture)) for picture in sources)
        except EditbenchError:
            self.missing += 1
            return ()

    def edit(self, item: dict[str, Any]) -> Image | None:
        """Return a pair's edit, or what was kept of it; None if it is gone."""
        if self._spill is None or not item["edit"]:
            return None
        key = item["edit"]["key"]
        try:
            found = self._spill.get(key)
            image = found.image if found else self._spill.thumbnail(key)
        except EditbenchError:
            image = None
        self.missing += image is None
        return image


@contextmanager
def open_pictures(
    result: RunResult, pairs: Iterable[str], *, tell: list[str]
) -> Iterator[RunPictures]:
    """Open the suite and the store of a run. What cannot be opened is told, and left out."""
    suite = _suite(result, tell)
    places = {} if suite is None else _places(suite, set(pairs))
    store = _store(result, tell)
    spill = None if store is None else Spill(store, host_limit=0)
    found = RunPictures(suite, places, spill)
    try:
        yield found
    finally:
        if store is not None:
            store.close()
    if found.missing:
        tell.append(
            f"{result.name}: {found.missing} pictures are no longer where the run left them"
        )


def _suite(result: RunResult, tell: list[str]) -> Suite | None:
    chosen = result.settings.get("suite", {})
    try:
        return open_suite(chosen.get("path", ""), language=chosen.get("language", "en"))
    except EditbenchError as exc:
        tell.append(f"{result.name}: the source images cannot be shown: {exc}")
        return None


def _places(suite: Suite, wanted: set[str]) -> dict[str, int]:
    ids = ((look(suite, index).pair.id, index) for index in range(len(suite)))
    return {pair: index for pair, index in ids if pair in wanted}


def _store(result: RunResult, tell: list[str]) -> Store | None:
    folder = result.settings.get("memory", {}).get("folder")
    try:
        return Store.open(Path(folder) if folder else home.home() / "store", read_only=True)
    except EditbenchError as exc:
        tell.append(f"{result.name}: the edits cannot be shown: {exc}")
        return None
