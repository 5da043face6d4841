"""The ways to carry a suite through both phases, one a process: editbench, bare threads, Ray Data.

``in_a_process`` runs one of them in a fresh interpreter, so that none inherits another's threads,
allocator settings or caches, and returns its figures.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import touch_memory

HOST = "256MB"  #: of decoded images, unless told otherwise
LAG_EVERY = 0.01  #: seconds between looks at the event loop's lateness
WEIGHTS = 4096  #: bytes of each model where only one is to fit


def editbench(
    suite: Path,
    folder: Path,
    *,
    codec: str,
    batch: int,
    seconds: float = 0.0,
    apart: bool = True,
    host: str = HOST,
    lags: list[float] | None = None,
) -> dict[str, float]:
    """Make one run and return the seconds of each phase, of both, and of writing the results.

    ``apart`` has the models take turns on a device; otherwise both phases go on at once. ``lags``
    receives by how many seconds the event loop was late, every time that it was asked.
    """
    import anyio

    from editbench import api
    from editbench.engine.events import Event, PhaseEnded, PhaseStarted

    model = {"batch": batch, "seconds": seconds, "weights": WEIGHTS if apart else 0}
    memory: dict[str, Any] = {"folder": str(folder / "store"), "host": host, "codec": codec}
    if apart:
        memory |= {"device": "cpu", "device_budget": f"{WEIGHTS + 512}B"}
    settings = {
        "suite": {"path": str(suite)},
        "editor": {"use": "noop:NoopEditor"} | model,
        "judge": {"use": "noop:NoopJudge"} | model,
        "memory": memory,
        "run": {"out": str(folder / "runs")},
    }
    found: dict[str, float] = {}
    began = ended = 0.0

    def watch(event: Event) -> None:
        nonlocal began, ended
        if isinstance(event, PhaseStarted):
            if not began and lags is None:  # it would make the loop late
                touch_memory()
            began = began or time.perf_counter()
        elif isinstance(event, PhaseEnded):
            ended = time.perf_counter()
            found[event.phase] = event.seconds

    async def main() -> api.RunResult:
        async with (
            api.open_run(api.load_config(overrides=settings), on_event=watch) as opened,
            anyio.create_task_group() as tasks,
        ):
            if lags is not None:
                tasks.start_soon(_sample, lags)
            result = await opened.wait()
            tasks.cancel_scope.cancel()
        return result

    result = anyio.run(main)
    found |= {"both": ended - began, "results": time.perf_counter() - ended}
    if result.summary["overall"]["n"] != result.summary["overall"]["pairs"]:
        raise RuntimeError("the run has failures, so its figures mean nothing")
    return found


async def _sample(lags: list[float]) -> None:
    import anyio

    while True:
        asked = time.perf_counter() + LAG_EVERY
        await anyio.sleep(LAG_EVERY)
        lags.append(time.perf_counter() - asked)


def busy(suite: Path, folder: Path, *, codec: str, seconds: float) -> dict[str, float]:
    """Run with steps of known length and return the share of the time that the device works.

    ``inner`` is from the first step's begin to the last one's end, ``whole`` the whole phase. And
    by how many milliseconds the event loop is late at most, in 99 of 100 cases.
    """
    from noop import NoopEditor, NoopJudge

    lags: list[float] = []
    phases = editbench(suite, folder, codec=codec, batch=1, seconds=seconds, lags=lags)
    found = {"lag, ms": statistics.quantiles(lags, n=100)[-1] * 1e3}
    for phase, steps in (("edit", NoopEditor.steps), ("score", NoopJudge.steps)):
        # Not the measured lengths: waiting for the interpreter's lock after a step is idleness.
        worked = seconds * len(steps)
        found[f"{phase}, inner"] = worked / (steps[-1][1] - steps[0][0])
        found[f"{phase}, whole"] = worked / phases[phase]
    return found


def bare(suite: Path, folder: Path, *, codec: str, batch: int, threads: int) -> dict[str, float]:
    """Do the same without an engine and return the seconds of each phase and both."""
    from bare import Bare

    from editbench.engine.memory import return_freed_memory

    return_freed_memory()  # as a run does: it settles how often a buffer's pages are cleared
    made = Bare(suite, folder / "store", used=codec, group=batch, threads=threads)
    try:
        touch_memory()
        edit, score = made.edit(), made.score()
    finally:
        made.close()
    return {"edit": edit, "score": score, "both": edit + score}


def ray_data(suite: Path, folder: Path, *, batch: int, work: Any) -> dict[str, float]:
    """Let Ray Data do it and return its seconds; see ``ray_data.py`` for how much it does."""
    from ray_data import run

    return run(suite, folder, batch=batch, work=work)


def in_a_process(way: str, suite: Path, **how: Any) -> dict[str, float]:
    """Carry a suite through in a fresh process and a folder of its own."""
    with tempfile.TemporaryDirectory(dir=suite.parent.parent) as folder:
        asked = json.dumps({"way": way, "suite": str(suite), "folder": folder, "how": how})
        done = subprocess.run(
            [sys.executable, __file__, asked],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(asked: Mapping[str, Any]) -> None:
    ways = {
        "editbench": editbench,
        "busy": busy,
        "bare": bare,
        "ray_data": ray_data,
    }
    found = ways[asked["way"]](Path(asked["suite"]), Path(asked["folder"]), **asked["how"])
    print(json.dumps(found))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
