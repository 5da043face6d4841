"""Judges from transformers: vision-language models that chat about images."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, Field

from editbench.backends import processors, sizes, streaming
from editbench.backends.checkpoints import Progress
from editbench.backends.chosen import Checkpoint, CheckpointSettings
from editbench.backends.contracts import Contracts
from editbench.backends.libraries import device_errors, loading, silence, use_threads
from editbench.engine.protocols import Question, Stop, Streaming
from editbench.errors import BackendError, Stopped
from editbench.records import Json, Reply
from editbench.units import format_bytes

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

VERSION = 1  #: raise it when the same settings would get another reply
MAX_BATCH = 16
_WORKING = 600  #: values a pixel of an image beside the weights; an estimate
_TINY_WORKING = 4
#: Shown to give the same greedy text in a left-padded batch as one by one.
_BATCHES = frozenset(
    {
        "LlavaForConditionalGeneration",
        "Qwen2_5_VLForConditionalGeneration",
        "Qwen3VLForConditionalGeneration",
        "Qwen3VLMoeForConditionalGeneration",
    }
)


class TransformersSettings(CheckpointSettings):
    """What can be set for a judge from transformers."""

    model: str = Field(
        "tiny/qwen3-vl", description="hub id, folder, or tiny/... for a built-in toy"
    )
    max_new_tokens: int = Field(160, ge=1, description="longest reply; it must hold the whole JSON")
    temperature: float = Field(0.0, ge=0, description="0 takes the likeliest token every time")
    seed: int = Field(0, description="of the sampling, where temperature is above 0")
    max_pixels: int | None = Field(None, ge=1, description="larger images are scaled down to this")
    constrained: bool = Field(True, description="hold the reply to the rubric's JSON contract")


class TransformersJudge:
    """A vision-language model of transformers behind the Judge protocol."""

    Settings: ClassVar[type[BaseModel]] = TransformersSettings

    def __init__(self, settings: TransformersSettings) -> None:
        self._settings = settings
        self._checkpoint = Checkpoint(settings)
        self._model: Any = None
        self._processor: Any = None
        self._contracts: Contracts | None = None
        self._place: torch.device | None = None  # where it is streamed to
        self._folder: tempfile.TemporaryDirectory[str] | None = None  # of streamed weights

    @property
    def name(self) -> str:
        return self._checkpoint.name

    @cached_property
    def identity(self) -> Mapping[str, Json]:
        """What determines a reply. Reads the weights once unless they come from the hub."""
        settings = self._settings
        return {
            "backend": "transformers",
            "version": VERSION,
            "max_new_tokens": settings.max_new_tokens,
            "temperature": settings.temperature,
            "seed": settings.seed if settings.temperature else None,
            "max_pixels": settings.max_pixels,
            "constrained": settings.constrained,
            **self._checkpoint.identity,
        }

    @property
    def footprint(self) -> int:
        return self._checkpoint.footprint

    @cached_property
    def max_batch(self) -> int:
        """One when sampling, since the rows of a batch would share the random numbers."""
        batches = self._checkpoint.class_name in _BATCHES
        return MAX_BATCH if batches and not self._settings.temperature else 1

    def working_bytes(self, width: int, height: int) -> int:
        pixels = min(width * height, self._settings.max_pixels or width * height)
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

    def load(self) -> None:
        settings = self._settings
        path = self._checkpoint.fetch()
        arguments = self._checkpoint.load_arguments()
        silence("transformers")
        with loading(settings.model):
            import transformers

            model = transformers.AutoModelForImageTextToText.from_pretrained(
                path, **arguments
            ).eval()
            processor = processors.load(path, trust_remote_code=settings.trust_remote_code)
            processor.tokenizer.padding_side = "left"
            model.generation_config = self._generation(model.generation_config, processor.tokenizer)
            if settings.constrained:
                vocabulary = model.get_output_embeddings().weight.shape[0]
                self._contracts = Contracts(processor.tokenizer, vocabulary=vocabulary)
        self._model, self._processor = model, processor
        self._checkpoint.quantize(self.modules())

    def modules(self) -> Mapping[str, Any]:
        return {} if self._model is None else {"model": self._model}

    def ask(self, questions: Sequence[Question], *, stop: Stop) -> list[Reply]:
        """Answer the questions in one left-padded batch."""
        if self._model is None:
            raise BackendError(f"{self.name} is not loaded")
        if len(questions) > self.max_batch:
            raise ValueError(f"{len(questions)} questions, but at most {self.max_batch} at once")
        if not questions:
            return []
        silence("transformers")
        use_threads(self._checkpoint.threads)
        with device_errors("judging"):
            return self._generate(questions, stop)

    def provenance(self) -> Mapping[str, Json]:
        return {
            "model_class": self._checkpoint.class_name,
            "processor": "torchvision" if processors.has_torchvision() else "pillow",
            "repairs": [],
            "threads": self._checkpoint.threads,
            "versions": self._checkpoint.versions(),
        }

    def files(self) -> Sequence[Path]:
        return self._checkpoint.files()

    def smaller(self) -> Mapping[str, int]:
        return self._checkpoint.smaller()

    def streaming(self, budget: int) -> Streaming | None:
        if not self._checkpoint.streamable:
            return None
        (tensors,) = self._checkpoint.tensors.values()
        choice = streaming.choose(streaming.pieces(tensors), budget)
        return choice.takes if choice else None

    def stream(self, place: torch.device, *, budget: int, host: int) -> None:
        loaded = streaming.parameter_bytes(self._model)
        choice = streaming.choose(streaming.pieces(loaded), budget)
        if choice is None:
            raise BackendError(f"{self.name} cannot be streamed within {format_bytes(budget)}")
        self._folder = tempfile.TemporaryDirectory(prefix="editbench-")
        with loading(self.name):
            streaming.stream_model(self._model, choice.stay, place, folder=Path(self._folder.name))
        self._place = place

    def close(self) -> None:
        self._model = self._processor = self._contracts = self._place = None
        if self._folder:
            self._folder.cleanup()
            self._folder = None

    def _generation(self, shipped: Any, tokenizer: Any) -> Any:
        # The checkpoint's own sampling advice is for chatting; a judge does what its settings say.
        from transformers import GenerationConfig

        ends = shipped.eos_token_id
        ends = {*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id} - {None}
        pad = tokenizer.pad_token_id
        config = GenerationConfig(
            max_new_tokens=self._settings.max_new_tokens,
            do_sample=self._settings.temperature > 0,
            eos_token_id=sorted(ends),
            pad_token_id=tokenizer.eos_token_id if pad is None else pad,
        )
        if config.do_sample:
            config.update(temperature=self._settings.temperature, top_k=0, top_p=1.0)
        return config

    def _generate(self, questions: Sequence[Question], stop: Stop) -> list[Reply]:
        import torch

        inputs = self._inputs(questions)
        prompt = inputs["input_ids"].shape[1]
        held = []
        if self._contracts is not None:
            wanted = [question.contract for question in questions]
            held = [self._contracts.processor(wanted, prompt=prompt)]
        _check(stop)
        device = self._place or self._model.device
        with torch.no_grad(), torch.random.fork_rng([device] if device.type != "cpu" else []):
            torch.manual_seed(self._settings.seed)
            ids = self._model.generate(
                **inputs, logits_processor=held, stopping_criteria=[_Stopper(stop)]
            )
        return [self._reply(row) for row in ids[:, prompt:].tolist()]

    def _inputs(self, questions: Sequence[Question]) -> Any:
        inputs = self._processor.apply_chat_template(
            [self._conversation(question) for question in questions],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        )
        return inputs.to(self._place or self._model.device, dtype=self._model.dtype)

    def _conversation(self, question: Question) -> list[dict[str, Any]]:
        pictures = [self._picture(image) for image in question.images]
        user = {"role": "user", "content": [*pictures, {"type": "text", "text": question.user}]}
        if not question.system:
            return [user]
        return [{"role": "system", "content": [{"type": "text", "text": question.system}]}, user]

    def _picture(self, image: Image) -> dict[str, Any]:
        return {"type": "image", "image": sizes.within(image, self._settings.max_pixels)}

    def _reply(self, tokens: list[int]) -> Reply:
        ends = self._model.generation_config.eos_token_id
        stopped = next((place for place, token in enumerate(tokens) if token in ends), None)
        said = tokens[:stopped]
        text = self._processor.tokenizer.decode(said, skip_special_tokens=True)
        return Reply(text, "length" if stopped is None else "stop", len(said))


class _Stopper:
    """Asked by ``generate`` after every token. Raises, so that no partial reply is returned."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def __call__(self, ids: Any, scores: Any, **kwargs: Any) -> Any:
        import torch

        _check(self._stop)
        return torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)


def _check(stop: Stop) -> None:
    if stop():
        raise Stopped("stopped during a judgement")
