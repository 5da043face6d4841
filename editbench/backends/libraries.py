"""What every call into torch, diffusers and transformers needs: threads, silence, plain errors."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from editbench.errors import BackendError, OutOfMemory

Dtype = Literal["fp32", "bf16", "fp16"]

_PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "tokenizers", "torchvision")


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Let torch use so many threads for a while; None leaves it alone.

    Set around each call, because OpenMP keeps the number per thread and the process is not ours.
    """
    import torch

    before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def quiet(*libraries: str) -> Iterator[None]:
    """Keep progress bars and chatter of ``transformers`` or ``diffusers`` off the terminal.

    They would tear our display. Give transformers first: importing diffusers makes it talk.
    """
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    with ExitStack() as stack:
        for name in libraries:
            stack.enter_context(_quiet(import_module(f"{name}.utils.logging")))
        yield


@contextmanager
def _quiet(log: Any) -> Iterator[None]:
    bars, verbosity = log.is_progress_bar_enabled(), log.get_verbosity()
    log.disable_progress_bar()
    log.set_verbosity_error()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()


@contextmanager
def device_errors(need: str) -> Iterator[None]:
    """Turn torch's out-of-memory error into ours, keeping it as the cause.

    The frames of the cause are cleared: their tensors would fill the device during the retry.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError as exc:
        traceback.clear_frames(exc.__traceback__)
        raise OutOfMemory(
            f"the device ran out of memory while {need}", hint="lower the batch or the image size"
        ) from exc


@contextmanager
def loading(model: str) -> Iterator[None]:
    """Turn whatever a library raises while it loads a model into ``BackendError``."""
    try:
        yield
    except BackendError:
        raise
    except Exception as exc:  # from_pretrained raises nearly anything, third-party code included
        line = (str(exc).strip().splitlines() or [""])[0]
        raise BackendError(f"cannot load {model}: {type(exc).__name__}: {line}") from exc


def choose_dtype(setting: Dtype | Literal["auto"], *, tiny: bool) -> Dtype:
    """Return the dtype's name; auto is fp32 for tiny models and without an accelerator."""
    if setting != "auto":
        return setting
    import torch

    return "fp32" if tiny or not torch.accelerator.is_available() else "bf16"


def torch_dtype(name: Dtype) -> Any:
    """Return torch's dtype for ``fp32``, ``bf16`` or ``fp16``."""
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[name]


def versions() -> dict[str, str]:
    """Return the installed versions of the libraries that can change a result."""
    found: dict[str, str] = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
