"""One session of a run: opened, carried out, and its results written."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.from_thread
import anyio.to_thread
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream

from editbench.assemble import Assembly, assemble, describe
from editbench.config import RunConfig
from editbench.engine import run as engine
from editbench.engine.events import Event, RunEnded, RunStarted
from editbench.engine.pictures import Pictures
from editbench.errors import EditbenchError, MachineError, Stopped, StoreFull
from editbench.observers import Observers
from editbench.report import files
from editbench.report.result import RunResult
from editbench.runlog import EventLog, write_environment, write_settings
from editbench.units import format_bytes

OnEvent = Callable[[Event], None]


class Run:
    """A run that is open: its folder is locked and its suite checked.

    ``await run.wait()`` carries it out; so does ``async for event in run``, which also hands out
    what happens. Leaving that loop early stops the run at the next step.
    """

    result: RunResult | None = None  #: once the run has ended well

    def __init__(
        self, assembly: Assembly, config: RunConfig, emit: OnEvent, tasks: TaskGroup
    ) -> None:
        """Take an assembled run; ``open_run`` is the way in."""
        self._assembly = assembly
        self._config = config
        self._show = emit
        self._tasks = tasks
        self._listener: MemoryObjectSendStream[Event] | None = None
        self._execution = engine.Execution(assembly.parts, self._emit)

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self._assembly.name

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return self._assembly.folder

    def stop(self, *, now: bool = False) -> None:
        """Ask to finish what is on the device and stop; with ``now``, at the next step."""
        self._execution.stop(now=now)

    async def pictures(self, longest: int, *, after: str = "") -> Pictures | None:
        """Return the pair that was finished last and its pictures, for whoever watches.

        Sides are at most ``longest`` pixels. None before a pair is finished, if it is ``after``,
        or if its edit was not kept.
        """
        return await self._execution.pictures(longest, after=after)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Carry the run out and yield every event. Raises as ``wait`` does."""
        errors: list[Exception] = []
        send, receive = anyio.create_memory_object_stream[Event](math.inf)
        self._listener = send
        self._tasks.start_soon(self._wait_for, errors)
        with receive:
            async for event in receive:
                yield event
        if errors:
            raise errors[0]

    async def _wait_for(self, errors: list[Exception]) -> None:
        try:
            await self.wait()
        except Exception as exc:  # raised again where the events are read
            errors.append(exc)
        finally:
            self._hang_up()

    def leave(self) -> None:
        """Stop at the next step if events are still being handed out."""
        if self._listener:
            self._hang_up()
            self.stop(now=True)

    def _hang_up(self) -> None:
        if self._listener:
            self._listener.close()
            self._listener = None

    def _emit(self, event: Event) -> None:
        self._show(event)
        if self._listener:
            try:
                self._listener.send_nowait(event)
            except anyio.BrokenResourceError:  # nobody listens any more
                self.leave()

    async def wait(self) -> RunResult:
        """Carry the run out to its end and write the results.

        Raises ``Stopped`` after a stop, and the error that ended the run early if one did; all
        that was finished is stored then, and the same run goes on from it.
        """
        start = time.time()
        self._emit(self._started())
        status: Literal["ok", "failed", "stopped"] = "failed"
        summary: dict[str, Any] = {}
        try:
            try:
                await self._execution.execute()
            except* EditbenchError as group:
                raise self._with_a_way_on(_only(group)) from None
            if self._execution.control.stopping and self._left():
                status = "stopped"
                raise Stopped(f"{self.name} was stopped; everything finished is stored")
            summary = await anyio.to_thread.run_sync(self._write)
            failed = summary["overall"]["pairs"] - summary["overall"]["n"]
            status = "ok" if failed <= self._config.run.max_failures else "failed"
        finally:
            swaps = self._execution.swaps
            now = time.time()
            self._emit(RunEnded(now, status, now - start, swaps, summary))
        self.result = RunResult(self.folder)
        return self.result

    def _left(self) -> int:
        work = self._assembly.parts.ledger.work()
        return len(work.missing) + len(work.ready)

    def _with_a_way_on(self, error: EditbenchError) -> EditbenchError:
        """Have a full store say what is safe, what is needed and how to go on."""
        if not isinstance(error, StoreFull):
            return error
        ledger = self._assembly.parts.ledger
        work, total = ledger.work(), len(ledger)
        missing = len(work.missing)
        edited = sum(ledger.is_edited(index) for index in range(total))
        states = self._assembly.parts.states
        between = states.largest if states else 0
        also = f", and {format_bytes(between)} between their parts" if between else ""
        more = [] if self._config.memory.spill is None else ["--spill-budget", "SIZE"]
        command = shlex.join(["editbench", "resume", str(self.folder), *more])
        return StoreFull(
            str(error),
            problems=[
                f"{edited} of {total} edits and {work.done} of {total} scores are stored and safe",
                f"{missing} more edits need about {format_bytes(missing * work.edit_bytes)}{also}",
            ],
            hint=f"{error.hint}; to go on: {command}",
        )

    def _started(self) -> RunStarted:
        parts, ledger = self._assembly.parts, self._assembly.parts.ledger
        return RunStarted(
            time.time(),
            self.name,
            str(self.folder),
            self._assembly.suite.name,
            parts.editor.name,
            parts.judge.name,
            categories=ledger.count(lambda index: True),
            reused_edits=ledger.count(ledger.is_edited),
            reused_scores=ledger.count(ledger.is_scored),
            notes=self._assembly.notes,
        )

    def _write(self) -> dict[str, Any]:
        outcomes = self._assembly.parts.ledger.outcomes()
        with _writing(self.folder):
            return files.write_results(self.folder, outcomes, meta=describe(self._assembly))


@asynccontextmanager
async def open_run(
    config: RunConfig, *, on_event: OnEvent | None = None, ask_again: bool = False
) -> AsyncIterator[Run]:
    """Open a run: check the suite, lock the folder, find what is finished. Loads no model.

    ``on_event`` gets every event on the event loop's thread and must not block. With ``ask_again``
    the judge is asked anew about pairs whose stored reply came to no score.
    """
    log = EventLog()

    observers = Observers(config.observers)

    def emit(event: Event) -> None:
        log.write(event)
        observers(event)
        if on_event:
            on_event(event)

    def emit_from_thread(event: Event) -> None:
        anyio.from_thread.check_cancelled()  # the thread itself cannot be
        anyio.from_thread.run_sync(emit, event)

    manager = assemble(config, emit=emit_from_thread, lock=True)
    with _writing(config.run.out):
        assembly = await anyio.to_thread.run_sync(manager.__enter__)
    try:
        if ask_again:
            await anyio.to_thread.run_sync(assembly.parts.ledger.forget_bad_replies)
        with _writing(assembly.folder):
            log.open(assembly.folder / "events.jsonl")
            write_settings(assembly.folder, config)
            write_environment(assembly.folder, describe(assembly))
        async with _tasks() as tasks:
            run = Run(assembly, config, emit, tasks)
            try:
                yield run
            finally:
                run.leave()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(manager.__exit__, None, None, None)
            log.close()


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Let a folder that cannot be written be the machine's fault."""
    try:
        yield
    except OSError as exc:
        raise MachineError(
            f"cannot write in {folder}: {exc.strerror or exc}",
            hint="what is stored is safe; make it writable, with room, and run the command again",
        ) from exc


def _only(group: BaseExceptionGroup[EditbenchError]) -> EditbenchError:
    """Return the first error of a group; the others came of the same stop."""
    first = group.exceptions[0]
    return _only(first) if isinstance(first, BaseExceptionGroup) else first


@asynccontextmanager
async def _tasks() -> AsyncIterator[TaskGroup]:
    """Open a task group that raises the body's error as itself, not in a group."""
    error: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        except Exception as exc:
            error = exc
    if error:
        raise error
