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
from typing import Any, TypeVar, cast

import anyio

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Call:
    work: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    done: anyio.Event = field(default_factory=anyio.Event)
    result: Any = None
    error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.work()
        except BaseException as exc:
            self.error = exc
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
        self._first: deque[_Call] = deque()
        self._others: deque[_Call] = deque()
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
            elapsed = time.perf_counter() - start
            del call  # an image must not live until the next call arrives
            with self._lock:
                self.busy += elapsed

    async def run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call ``function`` on a thread of this lane and return its result.

        Cancelling does not stop the call, only the wait for it.
        """
        return await self._run(self._others, lambda: function(*args, **kwargs))

    async def run_first(self, function: Callable[..., T], *args: Any) -> T:
        """Do as ``run``, before all calls that ``run`` has waiting."""
        return await self._run(self._first, lambda: function(*args))

    async def _run(self, calls: deque[_Call], work: Callable[[], T]) -> T:
        call = _Call(work, asyncio.get_running_loop())
        calls.append(call)
        self._tokens.put(True)
        await call.done.wait()
        if call.error is not None:
            try:
                raise call.error
            finally:
                del call  # breaks the cycle between the error's traceback and this frame
        return cast(T, call.result)

    def close(self, *, wait: float = 5.0) -> None:
        """End the threads once their queue is empty; give up waiting after ``wait`` seconds."""
        for _ in self._threads:
            self._tokens.put(False)
        for thread in self._threads:
            thread.join(wait)
