"""Small real checkpoints, built on disk once: real classes and files, random weights, no downloads.

They prove the whole path, from ``from_pretrained`` to a parsed verdict. Their edits and scores mean
nothing.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path

from editbench.backends.home import home
from editbench.errors import BackendError

VERSION = 1  #: raise it when any file of any checkpoint changes

EDITORS = (
    "tiny/qwen-image-edit",
    "tiny/qwen-image-edit-plus",
    "tiny/flux-kontext",
    "tiny/instruct-pix2pix",
)
JUDGES = ("tiny/qwen3-vl", "tiny/qwen3-vl-moe", "tiny/qwen2.5-vl", "tiny/llava")
NAMES = EDITORS + JUDGES

MULTIPLE = 64  #: sides of a tiny edit are multiples of this many pixels
LARGEST = 256  #: and at most this long


def is_tiny(model: str) -> bool:
    """Return whether a model's name asks for one of these checkpoints."""
    return model.startswith("tiny/")


def checkpoint(name: str) -> Path:
    """Return the folder of a tiny checkpoint, building it first if it is not there.

    The bytes are the same wherever it is built with the same libraries. Safe against other
    processes: the folder appears whole or not at all. Raises ``BackendError``.
    """
    if name not in NAMES:
        near = get_close_matches(name, NAMES, n=1)
        raise BackendError(
            f"there is no tiny model {name}" + (f", did you mean {near[0]}?" if near else ""),
            hint="tiny models: " + ", ".join(NAMES),
        )
    folder = home() / "tiny" / f"{name.removeprefix('tiny/')}-{VERSION}"
    if not folder.is_dir():
        _build_at(folder, name)
    return folder


def _build_at(folder: Path, name: str) -> None:
    from editbench.backends.libraries import silence, use_threads

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    except OSError as exc:
        raise BackendError(
            f"cannot build {name} in {folder.parent}: {exc}",
            hint="set EDITBENCH_HOME to a folder that can be written",
        ) from exc
    try:
        silence("transformers", "diffusers")
        use_threads(1)
        _builders()[name](building)
        try:
            os.rename(building, folder)
        except OSError:
            if not folder.is_dir():  # else another process was quicker, and its bytes are the same
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _builders() -> Mapping[str, Callable[[Path], None]]:
    from editbench.backends import tiny_editors, tiny_judges

    return {**tiny_editors.BUILDERS, **tiny_judges.BUILDERS}
