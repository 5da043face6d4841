"""Finds and reads a pipeline of diffusers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from editbench.backends import checkpoints, processors
from editbench.backends.libraries import loading, silence
from editbench.errors import BackendError


def find_class(path: Path) -> type:
    """Return the class that a pipeline's folder asks for. Raises ``BackendError``."""
    name = checkpoints.class_name(path)
    silence("transformers", "diffusers")
    import diffusers

    found = getattr(diffusers, name, None)
    if not isinstance(found, type) or not issubclass(found, diffusers.DiffusionPipeline):
        raise BackendError(
            f"{path.name} needs the pipeline {name!r}, which diffusers {diffusers.__version__} "
            "does not offer",
            hint="upgrade diffusers, or check that the folder holds a whole pipeline",
        )
    return found


def read(path: Path, *, trust_remote_code: bool = False, **arguments: Any) -> Any:
    """Return the pipeline in a folder, on the CPU and silent; ``arguments`` go to its library.

    Raises ``BackendError``.
    """
    with loading(path.name):
        pipeline: Any = find_class(path)
        parts = _image_only_parts(path, trust_remote_code=trust_remote_code)
        loaded = pipeline.from_pretrained(
            path, trust_remote_code=trust_remote_code, **arguments, **parts
        )
    loaded.set_progress_bar_config(disable=True)
    return loaded


def _image_only_parts(path: Path, *, trust_remote_code: bool) -> dict[str, Any]:
    # Where torchvision is missing, a processor with a video half cannot be loaded by the pipeline.
    import transformers

    if processors.has_torchvision():
        return {}
    return {
        name: processors.load(path / name, trust_remote_code=trust_remote_code)
        for name, (library, cls) in checkpoints.components(path).items()
        if library == "transformers"
        and isinstance(found := getattr(transformers, cls, None), type)
        and processors.needs_video(found)
    }
