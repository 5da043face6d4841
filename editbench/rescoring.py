"""Scores a run's edits once more: with another judge, or from the replies that were kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from editbench.config import RunConfig
from editbench.engine.lock import RunLock
from editbench.errors import ConfigError, ResultError
from editbench.loading import config_of
from editbench.records import Outcome
from editbench.report import files
from editbench.report.items import from_item
from editbench.report.result import RunResult
from editbench.suites import verdicts
from editbench.suites.rubrics import Rubric, load_rubric


def score_config(
    result: RunResult,
    *,
    settings: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> RunConfig:
    """Return the configuration of a run that scores this run's edits otherwise and makes none.

    The new run has a folder of its own. Raises ``ConfigError``, also if nothing would change.
    """
    old = config_of(result)
    config = config_of(result, settings=settings, overrides=overrides)
    if config.judge == old.judge:
        raise ConfigError(
            f"{result.name} was scored like this already",
            hint="name another --judge or --rubric; --failed asks again where there is no score, "
            "--reparse reads the kept replies anew",
        )
    run = config.run.model_copy(update={"name": name, "score_only": True})
    return config.model_copy(update={"run": run})


def reparse(
    result: RunResult, *, rubric: str | Path | None = None, name: str | None = None
) -> RunResult:
    """Read a finished run's kept replies anew, without its models or its store.

    With another ``rubric``, whose formula may differ but not its questions, the result is a new run
    beside this one; else this run's own results are replaced. Raises ``ResultError`` while it is
    unfinished, ``RunLocked`` while it goes on, ``ConfigError`` if the replies answer other
    questions than the rubric's.
    """
    if not result.finished:
        raise ResultError(
            f"{result.name} is not finished, so its replies are not all there",
            hint=f"editbench resume {result.name}",
        )
    used = str(result.settings.get("judge", {}).get("rubric", "default"))
    read = load_rubric(str(rubric or used))
    outcomes = _Reparsed(result, read)
    outcomes.check()
    folder = result.folder
    if rubric or name:
        folder = folder.parent / (name or f"{result.name}_{read.name}")
    folder.mkdir(exist_ok=True)
    meta = {**result.summary, "run": folder.resolve().name, "scale": [read.low, read.high]}
    with RunLock(folder):
        files.write_results(folder, outcomes, meta=meta)
        if folder != result.folder:
            _write_settings(result, folder, str(rubric or used))
    return RunResult(folder)


class _Reparsed:
    """A run's outcomes, each reply parsed by a rubric. Read from the file at every pass."""

    def __init__(self, result: RunResult, rubric: Rubric) -> None:
        self._result = result
        self._rubric = rubric

    def __iter__(self) -> Iterator[Outcome]:
        for outcome in map(from_item, self._result.items()):
            yield self._parsed(outcome)

    def _parsed(self, old: Outcome) -> Outcome:
        if old.reply is None:
            return old
        pair = old.pair
        contract = self._rubric.prompt(pair.category, pair.instruction).contract
        overall = self._rubric.overall(pair.category)
        verdict = verdicts.parse(old.reply, contract, overall=overall)
        return Outcome(pair, verdict, old.edit, old.reply, old.score_seconds)

    def check(self) -> None:
        """Raise ``ConfigError`` if none of the replies that were sound is so by this rubric."""
        problem = ""
        for old in map(from_item, self._result.items()):
            if old.state != "ok":
                continue
            new = self._parsed(old)
            if new.state == "ok":
                return
            problem = problem or f"{old.pair.id}: {new.verdict.message}"
        if problem:
            raise ConfigError(
                f"the replies of {self._result.name} answer no questions of the rubric "
                f"{self._rubric.name}",
                problems=[problem],
                hint=f"editbench score {self._result.name} --rubric FILE asks the judge them",
            )


def _write_settings(result: RunResult, folder: Path, rubric: str) -> None:
    settings = {**result.settings, "judge": {**result.settings["judge"], "rubric": rubric}}
    with files.replaced(folder / "run.toml") as stream:
        stream.write(tomli_w.dumps(settings))
    for name in ("env.json", "events.jsonl"):
        if (result.folder / name).exists():
            shutil.copyfile(result.folder / name, folder / name)
