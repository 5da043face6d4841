"""Wires one run: plan, phases, models, scheduler and ledger."""

from __future__ import annotations

import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from editbench.engine.building import Stages
from editbench.engine.bundles import Source
from editbench.engine.costs import WORKING
from editbench.engine.events import (
    Event,
    Memory,
    Notice,
    PhaseEnded,
    PhaseStarted,
    Planned,
    Recalled,
    Stopping,
)
from editbench.engine.lanes import Lane
from editbench.engine.memory import (
    ByteLimit,
    collecting_only_new,
    pixel_bytes,
    return_freed_memory,
)
from editbench.engine.phases import PhaseStep, Role
from editbench.engine.pictures import Pictures, small
from editbench.engine.plan import Costs, Plan
from editbench.engine.scheduler import Control
from editbench.engine.seats import take_seats
from editbench.engine.stages import EditStage, ScoreStage
from editbench.engine.wiring import Parts, plan_run
from editbench.errors import Stopped, StoreFull

THREADS = (2, 8)  #: least and most that decode, encode and store
SAMPLE = 0.25  #: seconds between readings of how far a move is
SAMPLES = 4  #: of them for each reading of the memory in use
RECALL = 64  #: replies of earlier sessions that are read in one go
PATIENCE = 1.0  #: seconds that a step has to end in, once it is to be given up
LOOK = 0.2  #: seconds between looks at pairs that another run has in hand
OTHERS = 60.0  #: seconds of no progress that another run has with what it has in hand


class Execution:
    """One session of a run: from what the store has to the end of the plan, or to a stop."""

    def __init__(self, parts: Parts, emit: Callable[[Event], None]) -> None:
        self.parts = parts
        self.control = Control()
        self._urged = anyio.Event()  # not to wait for the step on the device
        self._emit = emit
        self._pool = Lane("pool", threads=pool_threads())
        self._bytes = ByteLimit(parts.host_bytes)
        self._seats = take_seats(
            parts, pool=self._pool, limit=self._bytes, control=self.control, emit=emit
        )
        self._stages = Stages(
            parts, {role: seat.models for role, seat in self._seats.items()}, emit
        )
        self._places = list(dict.fromkeys(self._seats.values()))  # each device once
        self._lost = self._scored = 0  # in this pass
        self._costs = parts.costs()

    @property
    def swaps(self) -> int:
        """How often the model on a device has changed so far."""
        return sum(seat.models.swaps for seat in self._places)

    def stop(self, *, now: bool = False) -> None:
        """Ask to finish what is on the device and stop; with ``now``, at the next step."""
        self.control.stop(now=now)
        if now:
            self._urged.set()
        self._emit(Stopping(time.time(), now))

    async def execute(self) -> None:
        """Carry out the plan. Raises the error that ended it early, if one did."""
        return_freed_memory()
        try:
            with collecting_only_new():
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._sample)
                    tasks.start_soon(self._recall)
                    tasks.start_soon(self._lose_patience, tasks.cancel_scope)
                    await self._passes()
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                for seat in self._places:
                    if not self.control.now:
                        await seat.models.close()
                    seat.lane.close(wait=0.0 if self.control.now else 5.0)
            self._pool.close()
            self.parts.claims.close()

    async def _lose_patience(self, scope: anyio.CancelScope) -> None:
        """Leave a step behind that heeds no request: its thread ends with the process."""
        await self._urged.wait()
        await anyio.sleep(PATIENCE)
        scope.cancel()

    async def _passes(self) -> None:
        while True:
            self._lost = self._scored = 0
            plan = plan_run(self.parts)
            self._emit(
                Planned(
                    time.time(),
                    plan.placement,
                    plan.batches,
                    plan.swaps,
                    plan.naive_swaps,
                    plan.describe(),
                    _expected(plan, self._costs.read()),
                )
            )
            if slow := plan.hosting.describe():
                self._emit(Notice(time.time(), "warning", slow))
            for seat in self._places:
                await seat.models.follow(plan)
            full = await self._carry_out(plan.phases)
            if self.control.cause:
                raise self.control.cause
            frees = self.parts.keep != "all" or plan.state_bytes > 0
            if full and not (frees and self._scored):
                raise full
            # Edits found damaged while they were scored are made again, by a plan of their own;
            # and scoring may have made room on a disk that was full.
            if not (self._lost or full) or not self.control.feeding:
                return

    async def _carry_out(self, phases: Sequence[PhaseStep]) -> StoreFull | None:
        """Go through the phases. Return what kept edits from being stored, if something did."""
        full: StoreFull | None = None
        for number, phase in enumerate(phases):
            if full and phase.edits and not self._is_begun(phase):
                continue
            later = [role for rest in phases[number:] for role in rest.roles]
            upcoming = phases[number + 1].roles if number + 1 < len(phases) else ()
            await self._phase(phase, later=later, upcoming=upcoming)
            cause = self.control.cause
            if isinstance(cause, StoreFull) and phase.edits and not full:
                # What is stored can still be scored: replies are small.
                full, self.control.cause = cause, None
                self._emit(Notice(time.time(), "warning", f"{cause}; scoring what is stored"))
                if phase.kind == "both":
                    ready = self.parts.ledger.work().ready
                    scores = replace(phase, kind="score", edits=(), scores=ready, part="")
                    await self._phase(scores, later=later)
            if not self.control.feeding:
                break
        return full

    def _is_begun(self, phase: PhaseStep) -> bool:
        """Return whether a phase goes on with edits of which earlier parts are done."""
        return any(self.parts.ledger.reached(index) for index in self._edits(phase))

    async def _phase(
        self, phase: PhaseStep, *, later: Sequence[Role], upcoming: Sequence[Role] = ()
    ) -> None:
        edits = self._edits(phase)
        counts = {"edit": len(edits), "score": self._scorable(phase)}
        roles: list[Role] = [role for role in phase.roles if counts[role]]
        if phase.kind == "both" and "edit" in roles and "score" not in roles:
            roles.append("score")
        if not roles:
            return
        for seat in self._places:
            if here := [role for role in roles if role in seat.models.roles]:
                try:
                    await seat.models.ready(phase, here, later=later)
                except Stopped:
                    return
                if seat.models.bytes_per_second:
                    self._costs.write("move", seat.models.bytes_per_second)
        send, receive = anyio.create_memory_object_stream[int](math.inf)
        score = self._stages.score() if "score" in roles else None
        hand_on = send.send_nowait if phase.kind == "both" else None
        async with receive, anyio.create_task_group() as tasks:
            if score:
                ready = [i for i in phase.scores if self.parts.ledger.is_edited(i)]
                tasks.start_soon(self._stage, score, phase.batch, ready, receive, upcoming)
            with send:
                if "edit" in roles:
                    edit = self._stages.edit(phase.part, hand_on)
                    await self._stage(edit, phase.batch, edits, None, upcoming)
                    self._lost += edit.lost
        if score:
            self._lost += score.lost
            self._scored += score.done

    def _edits(self, phase: PhaseStep) -> Sequence[int]:
        """Return the edits to make in a phase; of a part, those that got this far."""
        ledger, states = self.parts.ledger, self.parts.states
        if not phase.part or states is None:
            return phase.edits
        done = states.parts.index(phase.part)
        return [
            index
            for index in phase.edits
            if ledger.reached(index) == done and index not in ledger.failures
        ]

    def _scorable(self, phase: PhaseStep) -> int:
        return sum(1 for index in phase.scores if self.parts.ledger.is_edited(index))

    async def _stage(
        self,
        stage: EditStage | ScoreStage,
        batch: int,
        items: Sequence[int],
        more: MemoryObjectReceiveStream[int] | None,
        upcoming: Sequence[Role],
    ) -> None:
        self._emit(PhaseStarted(time.time(), stage.phase, batch, len(items), stage.part))
        seat = self._seats[stage.phase]
        start, busy = time.perf_counter(), seat.lane.busy
        async with anyio.create_task_group() as tasks:
            for each in self._places:
                tasks.start_soon(each.models.look_ahead, upcoming, stage.finished, len(items))
            await self._together(stage, Source(items, more))
            tasks.cancel_scope.cancel()
        if stage.seconds:
            self._costs.write(stage.phase, stage.seconds / stage.done)
        if taken := seat.models.working(stage.phase):
            self._costs.write(WORKING[stage.phase], taken / stage.max_batch)
        self._emit(
            PhaseEnded(
                time.time(),
                stage.phase,
                batch,
                stage.done,
                stage.failed,
                time.perf_counter() - start,
                seat.lane.busy - busy,
                stage.part,
            )
        )

    async def _together(self, stage: EditStage | ScoreStage, source: Source) -> None:
        """Take all pairs through a stage; those that another run has in hand come at the end."""
        scheduler = self._seats[stage.phase].scheduler
        left = await scheduler.run(stage, source)
        since = time.monotonic()
        while left and self.control.feeding:
            await anyio.sleep(LOOK)
            waited = time.monotonic() - since
            if self.parts.claims.heeded and waited > OTHERS:
                text = f"another run has had {len(left)} pairs in hand for {waited:.0f} s"
                self._emit(Notice(time.time(), "warning", f"{text}; they are done here, too"))
                self.parts.claims.heeded = False
            before = len(left)
            left = await scheduler.run(stage, Source(left))
            if len(left) < before:
                since = time.monotonic()
        self.parts.claims.heeded = True

    async def _sample(self) -> None:
        for number in itertools.count():
            if number % SAMPLES == 0:
                self._emit(self.memory())
            for seat in self._places:
                if moving := seat.models.moving():
                    self._emit(moving)
            await anyio.sleep(SAMPLE)

    async def _recall(self) -> None:
        """Tell what reused scores say. They are read beside the work, so that it need not wait."""
        ledger = self.parts.ledger
        reused = [index for index in range(len(ledger)) if ledger.is_scored(index)]
        counts = dict.fromkeys(ledger.categories, 0)
        sums, squares = dict.fromkeys(counts, 0.0), dict.fromkeys(counts, 0.0)
        for start in range(0, len(reused), RECALL):
            some = reused[start : start + RECALL]
            verdicts = await self._pool.run(lambda some=some: [ledger.verdict(i) for i in some])
            for index, verdict in zip(some, verdicts, strict=True):
                if verdict and verdict.overall is not None:
                    name = ledger.category(index)
                    counts[name] += 1
                    sums[name] += verdict.overall
                    squares[name] += verdict.overall**2
        if reused:
            self._emit(Recalled(time.time(), counts, sums, squares))

    async def pictures(self, longest: int, *, after: str = "") -> Pictures | None:
        """Return the pair that was finished last, with sides of at most ``longest`` pixels.

        None before one is, if it is ``after``, or if its edit was not kept.
        """
        parts, index = self.parts, self.parts.ledger.latest
        if index is None or parts.ledger.pair(index).id == after:
            return None
        facts = parts.ledger.sources(index)
        assert not isinstance(facts, str)  # an unreadable pair is never finished
        sizes = (facts.sizes[0], parts.ledger.size(index))
        async with self._bytes.hold(sum(pixel_bytes(*size) for size in sizes)):
            return await self._pool.run(
                small,
                index,
                longest=longest,
                ledger=parts.ledger,
                spill=parts.spill,
                load_images=parts.load_images,
            )

    def memory(self) -> Memory:
        """Return what is in use now."""
        parts, seats = self.parts, self._places
        used, room = parts.store.used(), parts.store.room()
        return Memory(
            time.time(),
            parts.place,
            sum(seat.residency.used for seat in seats),
            sum(device.limit or 0 for device in parts.devices),
            self._bytes.used + parts.spill.stats().in_memory,
            parts.host_bytes,
            used,
            used + room if room is not None else 0,
            tuple(name for seat in seats for name in seat.models.resident),
            tuple(name for seat in seats for name in seat.models.loaded),
        )


def pool_threads() -> int:
    """Return how many threads decode, encode and store: one a processor, within limits."""
    found = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    least, most = THREADS
    return max(least, min(most, found))


def _expected(plan: Plan, costs: Costs) -> dict[str, float]:
    rate = costs.bytes_per_second
    move = plan.bytes_moved / rate / (plan.swaps + 1) if rate else None
    known = {"edit": costs.edit, "score": costs.score, "swap": move}
    return {name: seconds for name, seconds in known.items() if seconds is not None}
