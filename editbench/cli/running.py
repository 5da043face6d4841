"""Carries out ``editbench run``: a display, signals, and what to say at the end."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import anyio
from anyio.abc import TaskGroup

from editbench.cli import logs, tables
from editbench.cli.commands import Screen
from editbench.cli.displays import Display, choose, opened
from editbench.cli.live import LiveDashboard
from editbench.cli.messages import LoggedBug, first_cause, say
from editbench.cli.modes import Mode
from editbench.cli.options import Watch
from editbench.cli.signals import Opening, Stopper
from editbench.cli.state import State, update
from editbench.cli.text import counted, plain
from editbench.cli.thumbnails import EVERY, LONGEST
from editbench.engine.events import Event, Notice
from editbench.errors import EditbenchError, Stopped, TooManyFailures

if TYPE_CHECKING:
    from editbench.api import Run, RunConfig, RunResult

TICK = 0.25  #: seconds between two looks of the display at the clock
log = logging.getLogger(__name__)


class Witness:
    """Passes events on to the display, and keeps what the end is told by."""

    def __init__(self, display: Display) -> None:
        self.state: State | None = None
        self.display = display

    def __call__(self, event: Event) -> None:
        """Take an event."""
        self.state = update(self.state, event)
        self.display(event)


def carry_out(config: RunConfig, screen: Screen, watch: Watch, *, ask_again: bool = False) -> int:
    """Run to the end or to a stop, and return the exit code."""
    quiet = watch.quiet
    mode = choose(
        watch.display, screen.err, os.environ, quiet=quiet > 0, verbose=screen.verbose > 0
    )
    with ExitStack() as stack:
        stack.enter_context(logs.to_terminal(screen.err, verbose=screen.verbose))
        display = opened(mode, screen.err, thumbnails=watch.thumbnails)
        witness = Witness(stack.enter_context(display))

        def leave() -> NoReturn:
            """End the process, whatever threads still do."""
            stack.close()
            code = _stopped(screen, stopper.exit_code, witness, quiet=quiet > 0)
            sys.stdout.flush()
            os._exit(code)

        stopper = Stopper(leave)
        result = anyio.run(_run, config, witness, stopper, leave, ask_again)
        if result is None and stopper.urgent:
            leave()  # a step may have been left behind, and would be in the way of an exit
    if result is None:
        return _stopped(screen, stopper.exit_code, witness, quiet=quiet > 0)
    return _finished(config, screen, result, witness, mode=mode, quiet=quiet)


async def _run(
    config: RunConfig,
    witness: Witness,
    stopper: Stopper,
    leave: Callable[[], object],
    ask_again: bool,
) -> RunResult | None:
    """Return the result, or None if it was stopped."""
    result: RunResult | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stopper.watch)
        tasks.start_soon(_tick, witness.display)
        with anyio.CancelScope() as scope:

            def give_up() -> None:
                scope.cancel()
                text = "giving up what was begun; ctrl-c again leaves at once"
                witness(Notice(time.time(), "info", text))

            stopper.aim(Opening(give_up, leave))
            try:
                result = await _open_and_wait(config, witness, stopper, tasks, ask_again=ask_again)
            except Stopped:
                if stopper.exit_code is None:
                    raise
        tasks.cancel_scope.cancel()
    witness.display.tick()
    return result


async def _open_and_wait(
    config: RunConfig, witness: Witness, stopper: Stopper, tasks: TaskGroup, *, ask_again: bool
) -> RunResult:
    from editbench.api import open_run

    async with open_run(config, on_event=witness, ask_again=ask_again) as run:
        stopper.aim(run)
        if isinstance(witness.display, LiveDashboard):
            witness.display.keep_output(run.folder)
            tasks.start_soon(_look, run, witness.display)
        with logs.to_folder(run.folder) as path:
            try:
                return await run.wait()
            except Exception as exc:
                log.debug("the run ended with an error", exc_info=exc)
                if isinstance(first_cause(exc), EditbenchError):
                    raise
                raise LoggedBug(path) from exc


async def _look(run: Run, dashboard: LiveDashboard) -> None:
    """Show what the latest pair looks like, if that is wanted."""
    shown = ""
    while dashboard.wants_pictures:
        try:
            pictures = await run.pictures(LONGEST, after=shown)
        except EditbenchError as exc:  # whoever works with the pair will report it
            log.debug("no picture: %s", exc)
            pictures = None
        if pictures:
            shown = pictures.pair
            dashboard.show(*pictures)
        await anyio.sleep(EVERY)


async def _tick(display: Display) -> None:
    while True:
        display.tick()
        await anyio.sleep(TICK)


def _stopped(screen: Screen, code: int | None, witness: Witness, *, quiet: bool) -> int:
    if not quiet:
        say(screen.err, "stopped", _stored(witness.state))
    say(screen.err, "to continue", shlex.join([*_program(), *sys.argv[1:]]))
    return Stopped.exit_code if code is None else code


def _program() -> list[str]:
    """Return what starts editbench from where the user is, as it was started now."""
    path = Path(sys.argv[0])
    if path.name == "__main__.py":
        return [sys.executable, "-m", "editbench"]
    found = shutil.which("editbench")
    if path.is_file() and not (found and path.samefile(found)):
        return [str(path)]
    return ["editbench"]


def _stored(state: State | None) -> str:
    if state is None:
        return "nothing was run"
    total = state.edit.total
    edits, scores = state.edit.finished, state.score.finished
    return f"{edits} of {total} edits and {scores} of {total} scores are stored and safe"


def _finished(
    config: RunConfig,
    screen: Screen,
    result: RunResult,
    witness: Witness,
    *,
    mode: Mode,
    quiet: int,
) -> int:
    if quiet == 1:
        print(result.folder)
    elif mode not in (Mode.JSON, Mode.NONE):
        _show(screen, result, witness)
    failed = result.rows()[-1].failed
    if failed <= config.run.max_failures:
        return 0
    if not quiet:
        _tell_failures(screen, result, failed, allowed=config.run.max_failures)
    return TooManyFailures.exit_code


def _show(screen: Screen, result: RunResult, witness: Witness) -> None:
    screen.out.print(tables.results(result))
    for note in result.summary.get("notes", ()):
        say(screen.err, "note", note)
    state = witness.state
    if state and state.plan and state.swaps:
        naive = state.plan.naive_swaps
        say(screen.err, "swaps", f"{state.swaps} instead of {naive} pair by pair")
    folder = plain(result.folder)
    say(screen.err, "results", folder)
    say(
        screen.err,
        "next",
        f"editbench show {shlex.quote(folder)}",
        f"editbench report {shlex.quote(folder)} --open",
    )


def _tell_failures(screen: Screen, result: RunResult, failed: int, *, allowed: int) -> None:
    kinds = result.summary["overall"]["failures"].items()
    say(
        screen.err,
        "failed",
        f"{counted(failed, 'pair')}, {allowed} allowed (--max-failures)",
        *(f"{state}: {count}" for state, count in kinds),
        "the means leave them out; running again retries edit_failed and judge_failed",
    )
