"""Threads that do what would block the event loop.

A lane of one thread runs every call of a device's models: streams, autocast and SQLite connections
belong to a thread, and a limiter of one would still wander over several. A wider lane does the
decoding, encoding and disk. The threads are daemons, so that a stuck step cannot keep a stopped
process alive.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Generic, TypeVar, cast

import anyio

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Call(Generic[T]):
    """Work that a lane was given."""

    work: Callable[[], T]
    loop: asyncio.AbstractEventLoop
    done: anyio.Event = field(default_factory=anyio.Event)
    found: T | None = None
    error: BaseException | None = None

    async def result(self) -> T:
        """Wait for the work and return what it returned, or raise what it raised."""
        await self.done.wait()
        if self.error is None:
            return cast(T, self.found)
        try:
            raise self.error
        finally:
            del self  # breaks the cycle between the error's traceback and this frame

    def run(self) -> None:
        try:
            self.found = self.work()
        except BaseException as exc:
            self.error = exc

    def tell(self) -> None:
        """Wake who waits for the result."""
        try:
            # anyio's from_thread would make this thread wait for the loop; a device must not.
            self.loop.call_soon_threadsafe(self.done.set)
        except RuntimeError:
            pass  # the loop is closed: nobody waits any more


class Lane:
    """Runs calls on its own threads, in the order they were made, some before the others."""

    def __init__(self, name: str, *, threads: int = 1) -> None:
        self.name = name
        self.busy = 0.0  #: seconds spent in calls, over all threads
        self.threads = threads
        self._first: deque[Call[Any]] = deque()
        self._others: deque[Call[Any]] = deque()
        self._tokens: SimpleQueue[bool] = SimpleQueue()  #: one for each call; false to end
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._serve, name=f"{name}-{n}", daemon=True)
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def _serve(self) -> None:
        while self._tokens.get():
            with self._lock:
                call = (self._first or self._others).popleft()
            start = time.perf_counter()
            call.run()
            with self._lock:
                self.busy += time.perf_counter() - start
            call.tell()  # now that its time is counted: a phase may end with it
            del call  # an image must not live until the next call arrives

    def start(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> Call[T]:
        """Have ``function`` called on a thread of this lane.

        Nothing stops the call; cancelling stops only the wait for its result.
        """
        return self._start(self._others, lambda: function(*args, **kwargs))

    async def run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call ``function`` on a thread of this lane and return its result."""
        return await self.start(function, *args, **kwargs).result()

    async def run_first(self, function: Callable[..., T], *args: Any) -> T:
        """Do as ``run``, before all calls that are waiting."""
        return await self._start(self._first, lambda: function(*args)).result()

    def _start(self, calls: deque[Call[Any]], work: Callable[[], T]) -> Call[T]:
        call = Call(work, asyncio.get_running_loop())
        calls.append(call)
        self._tokens.put(True)
        return call

    def close(self, *, wait: float = 5.0) -> None:
        """End the threads once their queue is empty; give up waiting after ``wait`` seconds."""
        for _ in self._threads:
            self._tokens.put(False)
        for thread in self._threads:
            thread.join(wait)
