"""What every call into torch, diffusers and transformers needs: threads, silence, plain errors."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from editbench.errors import BackendError, OutOfMemory

Dtype = Literal["fp32", "bf16", "fp16"]

_CHATTY = ("accelerate", "torchao", "bitsandbytes", "torch.utils._pytree")
_PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "tokenizers", "torchvision")


def use_threads(count: int | None) -> None:
    """Let torch use so many threads from here on; None means as many as it chose itself.

    To be called before each use of a model, from its thread: a part of the number belongs to the
    thread, a part to the process. It is not taken back, since another model may be running.
    """
    import torch

    chosen = _own_threads()
    torch.set_num_threads(count or chosen)


@cache
def _own_threads() -> int:
    import torch

    return torch.get_num_threads()


def silence(*libraries: str) -> None:
    """Keep progress bars and chatter of ``transformers`` or ``diffusers`` off the terminal.

    They would tear our display. Give transformers first: importing diffusers makes it talk. It also
    imports quantizing libraries that are installed, which warn of each kernel for other devices;
    accelerate warns of what it was asked to do.
    """
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in libraries:
        log = import_module(f"{name}.utils.logging")
        log.disable_progress_bar()
        log.set_verbosity_error()


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


def versions(*more: str) -> dict[str, str]:
    """Return the installed versions of the libraries that can change a result, and of ``more``."""
    found: dict[str, str] = {}
    for package in (*_PACKAGES, *more):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
