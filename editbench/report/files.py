"""Writes a run's results so that a crash leaves the old files or the new ones, never half."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from editbench.records import Json, Outcome
from editbench.report.items import read_lines, to_line
from editbench.report.markdown import render
from editbench.report.result import RunResult
from editbench.report.summary import summarize

DESCRIBED = ("suite", "editor", "judge", "notes")  #: of meta, what the summary repeats
SURROGATES = "backslashreplace"  #: half of a surrogate pair has no UTF-8; JSON reads it back


def write_results(
    folder: Path, outcomes: Iterable[Outcome], *, meta: Mapping[str, Any]
) -> dict[str, Json]:
    """Write ``items.jsonl``, ``summary.json`` and ``report.md``; return the summary.

    ``meta`` has run, suite, editor, judge, notes and scale. Outcomes are written as they come.
    The run's name is in the report only: equal results make equal summaries wherever they lie.
    """
    with replaced(folder / "items.jsonl") as stream:
        stream.writelines(to_line(outcome) + "\n" for outcome in outcomes)
    low, high = meta.get("scale", (0, 10))
    summary = summarize(read_lines(folder / "items.jsonl"), scale=(low, high))
    summary = {"version": summary.pop("version")} | {k: meta[k] for k in DESCRIBED} | summary
    with replaced(folder / "summary.json") as stream:
        stream.write(json.dumps(summary, ensure_ascii=False, allow_nan=False, indent=1) + "\n")
    with replaced(folder / "report.md") as stream:
        stream.write(render(RunResult(folder), run=meta["run"]))
    return summary


@contextmanager
def replaced(path: Path) -> Iterator[IO[str]]:
    """Open a text file that takes the place of ``path``, durably, once the block succeeds."""
    draft = path.with_name(f".{path.name}.tmp")
    try:
        with draft.open("w", encoding="utf-8", errors=SURROGATES, newline="\n") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; where folders cannot be opened, as on Windows, there is no need."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
