"""Image editors from diffusers: any pipeline that takes an image and an instruction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from editbench.backends import checkpoints, pipelines, processors, repairs, sizes, tiny
from editbench.backends import diffusers_calls as calls
from editbench.backends.home import remembered
from editbench.backends.libraries import (
    Dtype,
    choose_dtype,
    device_errors,
    silence,
    torch_dtype,
    use_threads,
    versions,
)
from editbench.backends.outputs import InvalidEdit, to_images
from editbench.engine.protocols import EditRequest, Stop
from editbench.errors import BackendError, Stopped
from editbench.records import Json

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["DiffusersEditor", "DiffusersSettings", "InvalidEdit"]

VERSION = 1  #: raise it when the same settings would make another edit
MAX_BATCH = 16
_WORKING = 1500  #: values a pixel beside the weights, mostly the VAE's; an estimate
_TINY_WORKING = 4


class DiffusersSettings(BaseModel):
    """What can be set for an editor from diffusers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(
        "tiny/qwen-image-edit", description="hub id, folder, or tiny/... for a built-in toy"
    )
    revision: str | None = Field(None, description="branch, tag or commit of a hub model")
    dtype: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        "auto", description="auto: bf16 on an accelerator, else fp32"
    )
    args: dict[str, Any] = Field(
        default_factory=dict,
        description="what the pipeline is called with, such as num_inference_steps; and size: "
        "'source', 'auto' or [width, height]",
    )
    allow_pickle: bool = Field(False, description="load weights that are not safetensors")
    trust_remote_code: bool = Field(False, description="run Python code from the model's folder")
    threads: int | None = Field(None, ge=1, description="torch threads; tiny models always use 1")


class DiffusersEditor:
    """An editing pipeline of diffusers behind the Editor protocol."""

    Settings: ClassVar[type[BaseModel]] = DiffusersSettings

    def __init__(self, settings: DiffusersSettings) -> None:
        self._settings = settings
        self._tiny = tiny.is_tiny(settings.model)
        self._pipeline: Any = None
        self._repairs: list[str] = []

    @property
    def name(self) -> str:
        return self._settings.model.rstrip("/").split("/")[-1]

    @cached_property
    def identity(self) -> Mapping[str, Json]:
        """What determines an edit. Reads the weights once unless they come from the hub."""
        with remembered("fingerprints") as memo:
            weights = checkpoints.fingerprint(self._path, memo=memo)
        local = Path(self._settings.model).expanduser().is_dir()
        return {
            "backend": "diffusers",
            "version": VERSION,
            "model": "" if local else self._settings.model,  # a folder is known by its weights
            "weights": weights,
            "dtype": self._dtype,
            "args": self._resolved,
            **({"trust_remote_code": True} if self._settings.trust_remote_code else {}),
        }

    @cached_property
    def footprint(self) -> int:
        return checkpoints.footprint(
            self._path, self._dtype, allow_pickle=self._settings.allow_pickle
        )

    @cached_property
    def max_batch(self) -> int:
        batches = checkpoints.class_name(self._path) in calls.BATCHES
        return MAX_BATCH if batches else 1

    def working_bytes(self, width: int, height: int) -> int:
        size = self._output_size((width, height))
        pixels = size[0] * size[1] if size else 2**20  # what editing models make by default
        values = _TINY_WORKING if self._tiny else _WORKING
        return pixels * values * checkpoints.ITEM_BYTES[self._dtype]

    @property
    def is_here(self) -> bool:
        """Whether the model is on this machine."""
        return checkpoints.is_here(self._settings.model, revision=self._settings.revision)

    def fetch(self) -> None:
        """Download the model if it is not on this machine. Raises ``BackendError``."""
        checkpoints.locate(self._settings.model, revision=self._settings.revision, download=True)

    def check(self) -> None:
        """Raise ``BackendError`` if the pipeline is unknown or ``args`` do not suit it."""
        if found := calls.problems(self._class, self._settings.args):
            raise BackendError(
                f"{self._class.__name__} cannot be called with these args", problems=found
            )

    def load(self) -> None:
        settings = self._settings
        path = checkpoints.locate(settings.model, revision=settings.revision, download=True)
        self.check()
        self._pipeline = pipelines.read(
            path,
            dtype=torch_dtype(self._dtype),
            allow_pickle=settings.allow_pickle,
            trust_remote_code=settings.trust_remote_code,
        )
        self._repairs = [
            f"{name}: {repairs.MM_TOKEN_TYPES}"
            for name, module in self.modules().items()
            if repairs.mark_image_tokens(module)
        ]

    def modules(self) -> Mapping[str, Any]:
        if self._pipeline is None:
            return {}
        from torch.nn import Module

        parts = self._pipeline.components.items()
        return {name: part for name, part in parts if isinstance(part, Module)}

    def edit(self, requests: Sequence[EditRequest], *, stop: Stop) -> list[Image]:
        """Make the edits; requests with images of one size go through the pipeline together."""
        if self._pipeline is None:
            raise BackendError(f"{self.name} is not loaded")
        if len(requests) > self.max_batch:
            raise ValueError(f"{len(requests)} requests, but at most {self.max_batch} at once")
        edits: dict[int, Image] = {}
        silence("transformers", "diffusers")
        use_threads(1 if self._tiny else self._settings.threads)
        with device_errors("editing"):
            for group in _same_size(requests):
                made = self._call([requests[index] for index in group], stop)
                edits.update(zip(group, made, strict=True))
        return [edits[index] for index in range(len(requests))]

    def provenance(self) -> Mapping[str, Json]:
        return {
            "pipeline": self._class.__name__,
            "processor": "torchvision" if processors.has_torchvision() else "pillow",
            "repairs": list(self._repairs),
            "threads": 1 if self._tiny else self._settings.threads,
            "versions": versions(),
        }

    def close(self) -> None:
        self._pipeline = None

    @cached_property
    def _path(self) -> Path:
        return checkpoints.locate(self._settings.model, revision=self._settings.revision)

    @cached_property
    def _dtype(self) -> Dtype:
        return choose_dtype(self._settings.dtype, tiny=self._tiny)

    @cached_property
    def _class(self) -> type:
        return pipelines.find_class(self._path)

    @cached_property
    def _resolved(self) -> dict[str, Json]:
        """Every argument of the call. Remembered, since importing diffusers takes seconds."""
        asked = [self._settings.args, self._tiny, metadata.version("diffusers")]
        call = json.dumps([checkpoints.class_name(self._path), *asked], sort_keys=True)
        with remembered("calls") as memo:
            if call not in memo:
                self.check()
                resolved = calls.resolve(self._class, self._settings.args, tiny=self._tiny)
                memo[call] = json.dumps(resolved)
            return dict(json.loads(memo[call]))

    def _output_size(self, source: tuple[int, int]) -> tuple[int, int] | None:
        grid = sizes.Grid(tiny.MULTIPLE, tiny.LARGEST) if self._tiny else sizes.Grid(16)
        return sizes.output_size(self._resolved["size"], source, grid)

    def _call(self, requests: Sequence[EditRequest], stop: Stop) -> list[Image]:
        keywords = self._keywords(requests)
        if stop():
            raise Stopped("stopped before an edit")
        if calls.takes(self._class, "callback_on_step_end"):
            keywords["callback_on_step_end"] = _stopper(stop)
        output = self._pipeline(**keywords, output_type="np")
        if any(getattr(output, "nsfw_content_detected", None) or ()):
            raise InvalidEdit("the pipeline's safety checker blackened the edit")
        return to_images(output.images)

    def _keywords(self, requests: Sequence[EditRequest]) -> dict[str, Any]:
        import torch

        self._refuse_references(requests)
        size = self._output_size(requests[0].images[-1].size)
        return calls.arguments(
            self._class,
            self._resolved,
            images=[self._prepare(image, size) for request in requests for image in request.images],
            prompts=[request.instruction for request in requests],
            generators=[torch.Generator().manual_seed(request.seed) for request in requests],
            size=size,
        )

    def _refuse_references(self, requests: Sequence[EditRequest]) -> None:
        most = max(len(request.images) for request in requests)
        if most > 1 and self._class.__name__ not in calls.REFERENCES:
            raise BackendError(
                f"{self._class.__name__} takes one source image, this pair has {most}",
                hint="use an editor that takes references, such as Qwen-Image-Edit-2509",
            )

    def _prepare(self, image: Image, size: tuple[int, int] | None) -> Image:
        from PIL import Image as Images

        if self._class.__name__ == "QwenImageEditPipeline":
            # Given a list, it forgets to scale what its text encoder sees.
            return _scaled_for_qwen(self._pipeline, image)
        scales_itself = self._resolved.get("_auto_resize", calls.takes(self._class, "height"))
        if size is None or scales_itself:
            return image
        return image.resize(size, Images.Resampling.LANCZOS)


def _scaled_for_qwen(pipeline: Any, image: Image) -> Image:
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit as module

    width, height, _ = module.calculate_dimensions(1024 * 1024, image.width / image.height)
    resized: Image = pipeline.image_processor.resize(image, height, width)
    return resized


def _stopper(stop: Stop) -> Any:
    def after_step(_pipeline: Any, _step: int, _time: Any, state: dict[str, Any]) -> dict[str, Any]:
        # Not pipe._interrupt: that decodes what is half denoised and returns it as an edit.
        if stop():
            raise Stopped("stopped during an edit")
        return state

    return after_step


def _same_size(requests: Sequence[EditRequest]) -> list[list[int]]:
    groups: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for index, request in enumerate(requests):
        groups.setdefault(tuple(image.size for image in request.images), []).append(index)
    return list(groups.values())
