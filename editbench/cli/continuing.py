"""The commands that go on from what a run left: ``resume`` and ``score``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from editbench.cli import completion
from editbench.cli.commands import Screen
from editbench.cli.messages import say
from editbench.cli.options import WHAT, Means, Scoring, Watch, flag
from editbench.cli.reading import Out, Which
from editbench.errors import ConfigError, ResultError

if TYPE_CHECKING:
    from editbench.api import RunResult

RESUME_EXAMPLES = """\
[bold]Examples[/]

editbench resume

editbench resume RUN --spill-budget 80GB

Nothing finished is done again. Pairs that failed are tried again.
"""
SCORE_EXAMPLES = """\
[bold]Examples[/]

editbench score RUN -j transformers:Qwen/Qwen3-VL-8B-Instruct

editbench score RUN --rubric mine.toml

editbench score RUN --failed

editbench score RUN --reparse --rubric other-formula.toml

Another judge or rubric makes a run of its own, which shares the edits. --failed asks the same \
judge again where its reply came to no score. --reparse reads the kept replies by a rubric, in \
seconds, without a model.
"""


def resume(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="A run's folder or its name; without one, the latest unfinished run.",
            autocompletion=completion.runs,
        ),
    ] = None,
    *,
    means: Means,
    out: Out = Path("runs"),
    watch: Watch,
    screen: Screen,
) -> int:
    """Go on with a run by its name, as it was set, from wherever it stands."""
    from editbench.api import config_of
    from editbench.cli.running import carry_out

    result = _unfinished(run, out)
    if run is None and not watch.quiet:
        say(screen.err, "note", f"going on with {result.name}")
    return carry_out(config_of(result, overrides=means.changes()), screen, watch)


def _unfinished(run: str | None, out: Path) -> RunResult:
    from editbench.api import list_runs, open_result

    if run is not None:
        return open_result(run, out=out)
    runs = list_runs(out)
    for result in reversed(runs):
        if not result.finished:
            return result
    if not runs:
        raise ResultError(f"there is no run in {out}", hint="editbench run makes one")
    raise ResultError(
        f"every run in {out} is finished",
        hint=f"editbench resume {runs[-1].name} tries what failed in the latest again",
    )


def score(
    run: Which = None,
    *,
    scoring: Scoring,
    failed: Annotated[
        bool, flag("failed", help="Ask again where a reply came to no score.", panel=WHAT)
    ] = False,
    reparse: Annotated[
        bool, flag("reparse", help="Read the kept replies anew; no model.", panel=WHAT)
    ] = False,
    out: Out = Path("runs"),
    watch: Watch,
    screen: Screen,
) -> int:
    """Score a run's stored edits again: another judge, another rubric, no edits."""
    from editbench.api import config_of, open_result, score_config
    from editbench.cli.running import carry_out

    result = open_result(run, out=out)
    if reparse:
        return _reparse(result, scoring, screen, failed=failed, quiet=watch.quiet)
    changes, settings = scoring.changes(), scoring.explicit_settings()
    if not failed:
        name = changes.get("run", {}).pop("name", None)
        config = score_config(result, settings=settings, overrides=changes, name=name)
    elif settings or "judge" in changes or scoring.name:
        raise ConfigError(
            "--failed asks the judge that the run has",
            hint="without --failed, another judge or rubric scores all edits, in a run of its own",
        )
    else:
        changes.setdefault("run", {})["score_only"] = True
        config = config_of(result, overrides=changes)
    return carry_out(config, screen, watch, ask_again=failed)


def _reparse(
    result: RunResult, scoring: Scoring, screen: Screen, *, failed: bool, quiet: int
) -> int:
    from editbench.api import reparse
    from editbench.cli import tables

    if failed or scoring.judge or scoring.set:
        raise ConfigError("--reparse asks no judge: it goes with --rubric and --name only")
    new = reparse(result, rubric=scoring.rubric, name=scoring.name)
    if quiet == 1:
        print(new.folder)
    elif not quiet:
        screen.out.print(tables.results(new))
        say(screen.err, "results", str(new.folder))
        if new.folder != result.folder:
            say(screen.err, "next", f"editbench compare {result.name} {new.name}")
    return 0
