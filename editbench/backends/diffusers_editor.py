"""Image editors from diffusers: any pipeline that takes an image and an instruction."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, Field

from editbench.backends import diffusers_calls as calls
from editbench.backends import diffusers_parts as apart
from editbench.backends import pipelines, processors, repairs, sizes, streaming, tiny
from editbench.backends.checkpoints import Progress
from editbench.backends.chosen import Checkpoint, CheckpointSettings
from editbench.backends.home import remembered
from editbench.backends.libraries import device_errors, loading, silence, use_threads
from editbench.backends.outputs import InvalidEdit, to_images
from editbench.backends.streaming import Choice
from editbench.engine.protocols import EditRequest, Part, Stop, Streaming
from editbench.errors import BackendError, Stopped
from editbench.records import Json
from editbench.units import format_bytes

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

__all__ = ["DiffusersEditor", "DiffusersSettings", "InvalidEdit"]

VERSION = 1  #: raise it when the same settings would make another edit
MAX_BATCH = 16
_WORKING = 1500  #: values a pixel beside the weights, mostly the VAE's; an estimate
_TINY_WORKING = 4
_STATE, _TINY_STATE = 24 * 10**6, 100_000  #: bytes, of two prompts that saw a megapixel; estimates


class DiffusersSettings(CheckpointSettings):
    """What can be set for an editor from diffusers."""

    model: str = Field(
        "tiny/qwen-image-edit", description="hub id, folder, or tiny/... for a built-in toy"
    )
    args: dict[str, Any] = Field(
        default_factory=dict,
        description="what the pipeline is called with, such as num_inference_steps; and size: "
        "'source', 'auto' or [width, height]",
    )


class DiffusersEditor:
    """An editing pipeline of diffusers behind the Editor protocol."""

    Settings: ClassVar[type[BaseModel]] = DiffusersSettings

    def __init__(self, settings: DiffusersSettings) -> None:
        self._settings = settings
        self._checkpoint = Checkpoint(settings)
        self._pipeline: Any = None
        self._repairs: list[str] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None  # of streamed weights

    @property
    def name(self) -> str:
        return self._checkpoint.name

    @cached_property
    def identity(self) -> Mapping[str, Json]:
        """What determines an edit. Reads the weights once unless they come from the hub."""
        return {
            "backend": "diffusers",
            "version": VERSION,
            "args": self._resolved,
            **self._checkpoint.identity,
        }

    @property
    def footprint(self) -> int:
        return self._checkpoint.footprint

    @cached_property
    def max_batch(self) -> int:
        return MAX_BATCH if self._checkpoint.class_name in calls.BATCHES else 1

    def working_bytes(self, width: int, height: int) -> int:
        size = self._output_size((width, height))
        pixels = size[0] * size[1] if size else 2**20  # what editing models make by default
        values = _TINY_WORKING if self._checkpoint.tiny else _WORKING
        return self._checkpoint.values_bytes(pixels * values)

    @property
    def is_here(self) -> bool:
        """Whether the model is on this machine."""
        return self._checkpoint.is_here

    def fetch(self) -> None:
        """Download the model if it is not on this machine. Raises ``BackendError``."""
        self._checkpoint.fetch()

    def recognise(self, progress: Progress) -> None:
        """Read what ``identity`` is told by; ``progress`` receives bytes done and in all."""
        self._checkpoint.recognise(progress)

    def check(self) -> None:
        """Raise ``BackendError`` if the pipeline is unknown or ``args`` do not suit it."""
        if found := calls.problems(self._class, self._settings.args):
            raise BackendError(
                f"{self._class.__name__} cannot be called with these args", problems=found
            )

    def load(self) -> None:
        path = self._checkpoint.fetch()
        self.check()
        self._pipeline = pipelines.read(path, **self._checkpoint.load_arguments())
        self._checkpoint.quantize(self.modules())
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
        if len(requests) > self.max_batch:
            raise ValueError(f"{len(requests)} requests, but at most {self.max_batch} at once")
        edits: dict[int, Image] = {}
        with self._at_work("editing"):
            for group in _same_size(requests):
                keywords = self._keywords([requests[index] for index in group])
                self._heed(stop, keywords)
                made = _pictures(self._pipeline(**keywords, output_type="np"))
                edits.update(zip(group, made, strict=True))
        return [edits[index] for index in range(len(requests))]

    @cached_property
    def parts(self) -> Sequence[Part]:
        if self._checkpoint.class_name not in apart.METHODS:
            return ()
        sizes = self._checkpoint.module_footprints
        return [Part(name, modules) for name, modules in apart.parts_of(sizes).items()]

    @property
    def state_form(self) -> str:
        return json.dumps([apart.FORM, self._checkpoint.versions()], sort_keys=True)

    def state_bytes(self, width: int, height: int) -> int:
        return _TINY_STATE if self._checkpoint.tiny else _STATE

    def run_part(self, part: str, request: EditRequest, state: bytes, *, stop: Stop) -> bytes:
        with self._at_work(f"running {part}"):
            keywords = self._keywords([request])
            self._heed(stop, keywords)
            if part == apart.DENOISE:
                return apart.denoise(self._pipeline, keywords, state)
            return apart.encode(self._pipeline, keywords, state, part)

    def finish_parts(self, request: EditRequest, state: bytes, *, stop: Stop) -> Image:
        with self._at_work("decoding"):
            keywords = self._keywords([request])
            self._heed(stop, keywords)
            return _pictures(apart.decode(self._pipeline, keywords, state))[0]

    def provenance(self) -> Mapping[str, Json]:
        return {
            "pipeline": self._class.__name__,
            "processor": "torchvision" if processors.has_torchvision() else "pillow",
            "repairs": list(self._repairs),
            "threads": self._checkpoint.threads,
            "versions": self._checkpoint.versions(),
        }

    def files(self) -> Sequence[Path]:
        return self._checkpoint.files()

    def smaller(self) -> Mapping[str, int]:
        return self._checkpoint.smaller()

    def streaming(self, budget: int) -> Streaming | None:
        choice = self._choose_streamed(budget)
        return choice.takes if choice else None

    def stream(self, place: torch.device, *, budget: int, host: int) -> None:
        choice = self._choose_streamed(budget)
        if choice is None:
            raise BackendError(f"{self.name} cannot be streamed within {format_bytes(budget)}")
        self._folder = tempfile.TemporaryDirectory(prefix="editbench-")
        folder = Path(self._folder.name)
        with loading(self.name):
            streaming.stream_pipeline(self.modules(), choice.stay, place, folder=folder, host=host)

    def close(self) -> None:
        self._pipeline = None
        if self._folder:
            self._folder.cleanup()
            self._folder = None

    def _choose_streamed(self, budget: int) -> Choice | None:
        if not self._checkpoint.streamable:
            return None
        pieces = streaming.modules(self._checkpoint.tensors)
        return streaming.choose(pieces, budget, ahead=streaming.AHEAD)

    @cached_property
    def _class(self) -> type:
        return pipelines.find_class(self._checkpoint.path)

    @cached_property
    def _resolved(self) -> dict[str, Json]:
        """Every argument of the call. Remembered, since importing diffusers takes seconds."""
        args, is_tiny = self._settings.args, self._checkpoint.tiny
        asked = [self._checkpoint.class_name, args, is_tiny, metadata.version("diffusers")]
        call = json.dumps(asked, sort_keys=True)
        with remembered("calls") as memo:
            if call not in memo:
                self.check()
                resolved = calls.resolve(self._class, args, tiny=is_tiny)
                memo[call] = json.dumps(resolved)
            return dict(json.loads(memo[call]))

    def _output_size(self, source: tuple[int, int]) -> tuple[int, int] | None:
        grid = sizes.Grid(tiny.MULTIPLE, tiny.LARGEST) if self._checkpoint.tiny else sizes.Grid(16)
        return sizes.output_size(self._resolved["size"], source, grid)

    @contextmanager
    def _at_work(self, doing: str) -> Iterator[None]:
        if self._pipeline is None:
            raise BackendError(f"{self.name} is not loaded")
        silence("transformers", "diffusers")
        use_threads(self._checkpoint.threads)
        with device_errors(doing):
            yield

    def _heed(self, stop: Stop, keywords: dict[str, Any]) -> None:
        """Look at ``stop`` now, and in the call with these keywords after each step."""
        if stop():
            raise Stopped("stopped before an edit")
        if calls.takes(self._class, "callback_on_step_end"):
            keywords["callback_on_step_end"] = _stopper(stop)

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


def _pictures(output: Any) -> list[Image]:
    if any(getattr(output, "nsfw_content_detected", None) or ()):
        raise InvalidEdit("the pipeline's safety checker blackened the edit")
    return to_images(output.images)


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
