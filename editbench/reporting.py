"""Writes the HTML report: reads the runs, finds their pictures, and puts both into one page."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from editbench.errors import ConfigError, MachineError
from editbench.pictures import open_pictures
from editbench.report import gallery, page
from editbench.report.album import TOTAL, Album, Where
from editbench.report.comparison import compare
from editbench.report.files import replaced
from editbench.report.page_facts import LETTERS
from editbench.report.result import RunResult

_log = logging.getLogger(__name__)


def write_page(
    results: Sequence[RunResult],
    path: Path,
    *,
    pictures: Where = "embed",
    picture_bytes: int = TOTAL,
) -> None:
    """Write the report of one finished run, or of several side by side, as one HTML file.

    ``picture_bytes`` bounds what is embedded; the text of a page with it is a third larger. In a
    folder beside the page pictures are larger and nothing bounds their sum. What the page cannot
    show is told on it and logged. Raises ``ResultError`` for a run that is unfinished,
    ``MachineError``.
    """
    if not 1 <= len(results) <= len(LETTERS):
        raise ConfigError(f"a report is of 1 to {len(LETTERS)} runs, not of {len(results)}")
    for result in results:
        result.must_be_finished()
    told = [gallery.read(result) for result in results]
    chosen = gallery.choose(told)
    notes: list[str] = []
    try:
        album = Album(
            pictures, page=path, expected=len(chosen) * (1 + len(results)), total=picture_bytes
        )
        with ExitStack() as stack:
            places = [
                stack.enter_context(open_pictures(result, chosen, tell=notes)) for result in results
            ]
            cards = gallery.cards(results, chosen, album, places)
        if album.left_out:
            notes.append(f"{album.left_out} pictures found no room in {picture_bytes:,} bytes")
        parts = page.render(
            results,
            told,
            [compare(results[0], other) for other in results[1:]],
            cards=cards,
            pictures=album.lines,
            folder=pictures == "folder",
            notes=notes,
        )
        with replaced(path) as stream:
            stream.writelines(parts)
        for note in notes:
            _log.warning(note)
    except OSError as exc:
        raise MachineError(f"cannot write {path}: {exc}") from exc
