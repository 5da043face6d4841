"""What a process of its own does for the swap benchmark: measure the link, or one way to move.

Both return plain values. ``in_a_process`` makes a row of every failure: too little memory, an
exception, a process that was killed or took too long.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
import statistics
import subprocess
import time
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NamedTuple

from movers import Hooked, Mover, Unable
from weights import ROLES, SIZES, Inputs, Modules, fill, fingerprint, parameter_bytes

from editbench.backends.libraries import silence
from editbench.engine.arena import host_memory
from editbench.engine.devices import CpuDevice, Device, open_device
from editbench.engine.memory import host_available
from editbench.units import format_bytes, format_seconds

if TYPE_CHECKING:
    import torch

HEAVY = (
    "accelerate",
    "diffusers.pipelines.qwenimage.pipeline_qwenimage_edit",
    "transformers.models.qwen3_vl_moe.modeling_qwen3_vl_moe",
)
SLACK = 1 << 30  #: bytes of a GPU that a step may take beyond what it took once
ROOM = 1.2  #: of the larger tiny model, for both
ROUNDS = 10  #: of measuring the link

os.environ.setdefault("OMP_NUM_THREADS", "1")


class Asked(NamedTuple):
    """What every process is told."""

    size: str
    device: str
    ballast: int = 0
    cycles: int = 1
    host: int = 0  #: bytes of host memory to count on, if not those that are free now


class Stage:
    """A device with its ballast, on which ``room`` bytes are for weights, or all it has."""

    def __init__(self, asked: Asked) -> None:
        import torch

        self.size = SIZES[asked.size]
        sketches = {name: role.build(self.size) for name, role in ROLES.items()}
        self.parameters = {name: parameter_bytes(m, self.size) for name, m in sketches.items()}
        device = open_device(asked.device)
        self.pretend = device.unified
        self.room: int | None = None
        if asked.size == "tiny":
            self.room = int(max(map(sum, self.parameters.values())) * ROOM)
        if self.pretend:
            if self.room is None or asked.ballast:
                raise Unable("without a GPU only --size tiny can be measured, and without ballast")
            device = CpuDevice(budget=self.room + (1 << 20))  # and a little for buffers
        self.device: Device = device
        self.host = asked.host or host_available()
        self.ballast = torch.empty(asked.ballast, dtype=torch.uint8, device=device.place)


def ceilings(asked: Asked) -> dict[str, Any]:
    """Return the bytes a second of the link, each way, from pinned and from pageable memory.

    A pretend device has no link; its ceiling is one copy of the processor.
    """
    device = Stage(asked).device
    pretend = isinstance(device, CpuDevice)
    amount = 64 << 20 if pretend else 1 << 30
    if pretend:
        device = CpuDevice(budget=amount)
    memory, found = device.allocate(amount), {"device": device.name, "gpu": _gpu(device)}
    for kind in ("memory",) if pretend else ("pageable", "pinned"):
        host = host_memory(amount).fill_(1)  # touched: the first touch of a page is slow
        if kind == "pinned":
            began = time.perf_counter()
            if not device.register(host):
                raise Unable(f"{device.name} could not pin {format_bytes(amount)}")
            found["pinning"] = amount / (time.perf_counter() - began)
        found[kind] = {
            way: [_rate(device, target, source) for _ in range(ROUNDS)]
            for way, target, source in (("into", memory, host), ("back", host, memory))
        }
    return found


def _rate(device: Device, target: torch.Tensor, source: torch.Tensor) -> float:
    began = time.perf_counter()
    device.copy(target, source)
    device.synchronize()
    return source.numel() / (time.perf_counter() - began)


def _gpu(device: Device) -> str:
    """Return name, driver and link of a GPU, as its maker's tool says them."""
    if device.place.type != "cuda":
        return ""
    what = "name,driver_version,pcie.link.gen.max,pcie.link.width.max"
    command = ["nvidia-smi", f"--id={device.place.index}", f"--query-gpu={what}"]
    try:
        return subprocess.check_output([*command, "--format=csv,noheader"], text=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return device.name


def measure(method: type[Mover], asked: Asked) -> dict[str, Any]:
    """Have the models take turns; return what that cost, a change of model, cycle by cycle."""
    import torch

    for library in HEAVY:
        import_module(library)
    silence("transformers", "diffusers")
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    stage = Stage(asked)
    before = _peak_rss()
    mover = method(stage.device, room=stage.room)
    with torch.no_grad():
        return _Turns(stage, mover).figures(cycles=asked.cycles, before=before)


class _Turns:
    """One mover, and both models with what they gave and took before anything was moved."""

    def __init__(self, stage: Stage, mover: Mover) -> None:
        needed = mover.host_bytes({name: stage.parameters[name] for name in mover.models})
        if needed > stage.host:
            there = format_bytes(stage.host)
            raise Unable(f"needs {format_bytes(needed)} of host memory, there are {there}")
        self.stage, self.mover, self.device = stage, mover, stage.device
        self.models: dict[str, Modules] = {}
        self.inputs: dict[str, Inputs] = {}
        self.expected: dict[str, str] = {}
        self.alone: dict[str, float] = {}  # seconds of a step when nothing has to be moved
        self.same = True
        began, step = time.perf_counter(), 0
        for number, name in enumerate(mover.models):
            step = max(step, self._meet(name, seed=number))
        mover.ready(step=step + SLACK)
        self.setup = time.perf_counter() - began

    def _meet(self, name: str, *, seed: int) -> int:
        """Make a model, see what it gives, and hand it over; return the bytes of a step."""
        role, size, place = ROLES[name], self.stage.size, self.device.place
        self.models[name] = modules = role.build(size)
        fill(modules, size, place, seed=seed)
        inputs = role.inputs(size, modules)
        self.inputs[name] = {key: value.to(place) for key, value in inputs.items()}
        self.expected[name] = fingerprint(self._run(name))
        seconds = []
        self.device.mark()
        for _ in range(3):
            self.device.synchronize()
            began = time.perf_counter()
            output = self._run(name)
            self.device.synchronize()
            seconds.append(time.perf_counter() - began)
            if fingerprint(output) != self.expected[name]:
                raise Unable(f"the {name} gives other bits each time, before anything was moved")
            del output
        self.alone[name] = statistics.median(seconds)
        taken = self.device.taken()
        self.mover.take(name, modules)
        return taken

    def figures(self, *, cycles: int, before: int) -> dict[str, Any]:
        """Return a row; its bytes and seconds are a change of model, or a step of the editor."""
        self._cycle()  # caches fill, hooks learn the order of layers
        start = self.mover.copied()
        self._watch_device()
        found = [self._cycle() for _ in range(cycles)]
        counted, device = cycles, self._device_peak()
        if isinstance(self.mover, Hooked):
            counted = 1
            with self.mover.counted():
                self._cycle()
        moved = self.mover.copied() - start
        row = {"models": list(self.mover.models), "outputs": self.expected, "same": self.same}
        if self.stage.pretend and self.mover.only_gpu:
            return row | {"reason": self.mover.only_gpu}
        changes = len(self.mover.models)
        copying = [each / changes for each, _ in found]
        return row | {
            "weights": sum(sum(self.stage.parameters[name]) for name in self.mover.models),
            "into": moved.into / changes / counted,
            "back": moved.back / changes / counted,
            "copying": None if isinstance(self.mover, Hooked) else copying,
            "exposed": [each / changes for _, each in found],
            "host": _peak_rss() - before,
            "pinned": None if self.stage.pretend else self.mover.pinned(),
            "device": device,
            "setup": self.setup,
        }

    def _cycle(self) -> tuple[float, float]:
        """Give each model its turn; return the seconds of moving, and those lost by it."""
        copying = exposed = 0.0
        for name in self.mover.models:
            self.device.synchronize()
            began = time.perf_counter()
            self.mover.switch(name)
            self.device.synchronize()
            switched = time.perf_counter()
            output = self._run(name)
            self.mover.leave(name)
            self.device.synchronize()
            copying += switched - began
            exposed += time.perf_counter() - began - self.alone[name]
            self.same &= fingerprint(output) == self.expected[name]
            del output
        return copying, exposed

    def _run(self, name: str) -> torch.Tensor:
        return ROLES[name].run(self.models[name], self.inputs[name])

    def _watch_device(self) -> None:
        import torch

        if not self.stage.pretend:
            torch.cuda.reset_peak_memory_stats(self.device.place)

    def _device_peak(self) -> int:
        import torch

        if self.stage.pretend:
            return self.mover.most
        peak = torch.cuda.max_memory_allocated(self.device.place)
        return peak - self.stage.ballast.numel()


def _peak_rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fresh_processes(device: str) -> Any:
    """Return a way to start processes of which none knows what another did."""
    import torch

    if device != "cpu" and torch.cuda.is_available():
        # Libraries look for a GPU when they are imported, and a fork cannot use CUDA after that.
        return multiprocessing.get_context("spawn")
    # Forked from a server that has imported the libraries, which takes longer than all else.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(list(HEAVY))
    return processes


def in_a_process(
    processes: Any, work: Callable[..., Mapping[str, Any]], *args: Any, timeout: float
) -> dict[str, Any]:
    """Do the work in a fresh process and return what it found, or the ``reason`` why nothing."""
    receiver, sender = processes.Pipe(duplex=False)
    process = processes.Process(target=_answer, args=(sender, work, args), daemon=True)
    process.start()
    sender.close()
    try:
        if receiver.poll(timeout):
            return dict(receiver.recv())
        return {"reason": f"took more than {format_seconds(timeout)}"}
    except EOFError:
        process.join()
        killed = process.exitcode == -9
        ended = "was killed, as for want of memory" if killed else f"ended with {process.exitcode}"
        return {"reason": f"its process {ended}"}
    finally:
        process.kill()
        process.join()


def _answer(sender: Connection, work: Callable[..., Mapping[str, Any]], args: Any) -> None:
    try:
        sender.send(work(*args))
    except Unable as exc:
        sender.send({"reason": str(exc)})
    except Exception as exc:  # whatever a library raises is a row of the table
        line = (str(exc).strip().splitlines() or [""])[0]
        sender.send({"reason": f"{type(exc).__name__}: {line}", "trace": traceback.format_exc()})
