"""Facts about this machine, and what in it would stop a run."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata
from typing import Any

from editbench.backends import home, registry
from editbench.engine import memory
from editbench.engine.store import Store
from editbench.errors import EditbenchError
from editbench.records import Json
from editbench.units import format_bytes

PACKAGES = (
    "editbench",
    "torch",
    "diffusers",
    "transformers",
    "accelerate",
    "safetensors",
    "llguidance",
    "pillow",
    "numpy",
    "diskcache",
    "anyio",
    "rich",
    "typer",
    "torchvision",
)
SMALL = 5 * 10**9  #: bytes of free disk below which a run of any length is at risk


def versions() -> dict[str, str]:
    """Return the version of each package that results may depend on; absent ones are left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Json]:
    """Return what this machine is, without loading any heavy library."""
    return {
        "system": platform.platform(),
        "processors": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_available": memory.host_available(),
    }


def doctor() -> dict[str, Any]:
    """Return versions, machine, devices, store and backends, and a list of ``problems``."""
    problems: list[str] = []
    return {
        "versions": versions(),
        "machine": machine(),
        "devices": _devices(problems),
        "store": _store(problems),
        "backends": _backends(problems),
        "problems": problems,
    }


def _devices(problems: list[str]) -> list[dict[str, Json]]:
    try:
        import torch
    except Exception as exc:  # a broken installation can fail in any way
        problems.append(f"torch cannot be imported: {exc}")
        return []
    found: list[dict[str, Json]] = [{"name": "cpu", "threads": torch.get_num_threads()}]
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        found.append(
            {
                "name": f"cuda:{index}",
                "model": torch.cuda.get_device_name(index),
                "bytes": total,
                "free": free,
            }
        )
    return found


def _store(problems: list[str]) -> dict[str, Json]:
    folder = home.home() / "store"
    near = folder
    while not near.exists():
        near = near.parent
    free = shutil.disk_usage(near).free
    if free < SMALL:
        problems.append(f"{folder}: only {format_bytes(free)} free on its disk")
    facts: dict[str, Json] = {"folder": str(folder), "disk_free": free}
    if folder.exists():
        try:
            store = Store.open(folder)
        except EditbenchError as exc:
            problems.append(f"the store cannot be opened: {exc}")
            return facts
        facts |= {"bytes": store.used(), "read_only": store.read_only}
        problems += store.notices
        store.close()
    return facts


def _backends(problems: list[str]) -> list[dict[str, Json]]:
    rows: list[dict[str, Json]] = []
    for kind in ("editor", "judge"):
        for name, distribution, version, target in registry.names(kind):
            try:
                registry.find(kind, name)
                state = "ok"
            except EditbenchError as exc:
                state = str(exc)
                problems.append(f"{kind} {name}: {exc}")
            rows.append(
                {
                    "kind": kind,
                    "name": name,
                    "from": f"{distribution} {version}".strip(),
                    "target": target,
                    "state": state,
                }
            )
    return rows
