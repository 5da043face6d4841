"""Loads a model's processor, also where torchvision is missing.

A Qwen-VL processor has a half for images and one for videos, and the video half needs torchvision.
Judging and editing need images only.
"""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import Any

from editbench.backends.checkpoints import read_json

_NAMED_IN = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json")


def load(path: Path, *, trust_remote_code: bool = False) -> Any:
    """Return the processor saved in a folder, without its video half if that cannot be loaded."""
    import transformers

    cls = transformers.AutoProcessor
    if not has_torchvision() and (name := _class_name(path)) and hasattr(transformers, name):
        cls = image_only(getattr(transformers, name))
    return cls.from_pretrained(path, local_files_only=True, trust_remote_code=trust_remote_code)


def has_torchvision() -> bool:
    """Return whether image processors run on torchvision, which rounds otherwise than Pillow."""
    from transformers.utils import is_torchvision_available

    return bool(is_torchvision_available())


def _class_name(path: Path) -> str:
    for name in _NAMED_IN:
        if (path / name).is_file() and (named := read_json(path / name).get("processor_class")):
            return str(named)
    return ""


def needs_video(cls: type) -> bool:
    """Return whether a processor class cannot be made without a video processor."""
    return "video_processor" in inspect.signature(cls).parameters


@functools.cache
def image_only(cls: type) -> Any:
    """Return a subclass without the video half; a class that has none is returned as it is.

    transformers reads a processor's parts from the names in its ``__init__``, so the subclass only
    has to leave one out. It keeps its parent's name, which saved files refer to.
    """
    if not needs_video(cls):
        return cls

    def __init__(
        self: Any,
        image_processor: Any = None,
        tokenizer: Any = None,
        chat_template: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("video_processor", None)
        parent: Any = cls
        parent.__init__(
            self, image_processor, tokenizer, None, chat_template=chat_template, **kwargs
        )

    return type(cls.__name__, (cls,), {"__init__": __init__, "__module__": cls.__module__})
