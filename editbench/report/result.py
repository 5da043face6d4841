"""A run's folder, read back. Needs no model and no heavy library."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from editbench.errors import ResultError
from editbench.report import hub
from editbench.report.items import dump, read_lines
from editbench.report.markdown import render
from editbench.report.sheet import write_csv
from editbench.report.summary import Row, rows


class RunResult:
    """What a run left in its folder; also of a run that is unfinished or still going on.

    ``summary`` and ``settings`` are read once; open the result again to see a live run move on.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ResultError(f"there is no run at {folder}", hint="editbench list runs")
        self.folder = folder

    def __repr__(self) -> str:
        return f"RunResult({str(self.folder)!r})"

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.folder.resolve().name

    @cached_property
    def summary(self) -> dict[str, Any]:
        """``summary.json``; empty while the run is unfinished. Raises ``ResultError``."""
        return self._json("summary.json")

    @property
    def finished(self) -> bool:
        """Whether every pair has an outcome."""
        return bool(self.summary)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """``run.toml``, the effective settings. Raises ``ResultError``."""
        try:
            return tomllib.loads(self.settings_text)
        except tomllib.TOMLDecodeError as exc:
            raise ResultError(f"{self.folder / 'run.toml'} is damaged: {exc}") from exc

    @property
    def settings_text(self) -> str:
        """``run.toml`` as it stands; empty if there is none."""
        return self._text("run.toml")

    @cached_property
    def environment(self) -> dict[str, Any]:
        """``env.json``: versions, machine, models as resolved; empty if there is none."""
        return self._json("env.json")

    def rows(self) -> list[Row]:
        """Return the lines of the result table, ``overall`` last; nothing while unfinished."""
        return rows(self.summary)

    def to_markdown(self) -> str:
        """Return the report, as in ``report.md``. Raises ``ResultError`` while unfinished."""
        self.must_be_finished()
        return render(self)

    def to_csv(self, stream: IO[str]) -> None:
        """Write one row a pair. Raises ``ResultError`` while the run is unfinished."""
        self.must_be_finished()
        write_csv(self.items(), self.items(), stream)

    def to_json(self, stream: IO[str]) -> None:
        """Write summary and items as one object. Raises ``ResultError`` while unfinished."""
        self.must_be_finished()
        name, summary = dump(self.name), dump(self.summary)
        stream.write(f'{{"run": {name},\n"summary": {summary},\n"items": [')
        for number, item in enumerate(self.items()):
            stream.write(f"{',' if number else ''}\n{dump(item)}")
        stream.write("\n]}\n")

    def to_hub(self, dataset: str, *, task: str = "default") -> str:
        """Return the mean as the Hub's results fragment. Raises ``ResultError`` while unfinished.

        ``dataset`` is the id of a benchmark on the Hub, ``task`` that of its task.
        """
        self.must_be_finished()
        return hub.fragment(self, dataset=dataset, task=task)

    def items(self) -> Iterator[dict[str, Any]]:
        """Yield each pair's line of ``items.jsonl``; nothing while the run is unfinished."""
        return read_lines(self.folder / "items.jsonl")

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield what the engine announced, in order, over all sessions of the run."""
        return read_lines(self.folder / "events.jsonl")

    def must_be_finished(self) -> None:
        """Raise ``ResultError`` while the run has no results."""
        if not self.finished:
            raise ResultError(
                f"{self.name} is not finished", hint="run the same command again to go on with it"
            )

    def _json(self, name: str) -> dict[str, Any]:
        try:
            return dict(json.loads(self._text(name) or "{}"))
        except ValueError as exc:
            raise ResultError(f"{self.folder / name} is damaged: {exc}") from exc

    def _text(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as exc:
            raise ResultError(f"cannot read {self.folder / name}: {exc}") from exc
