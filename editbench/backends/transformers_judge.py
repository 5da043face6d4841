"""Judges from transformers: vision-language models that chat about images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from editbench.backends import checkpoints, processors, sizes, tiny
from editbench.backends.contracts import Contracts
from editbench.backends.home import remembered
from editbench.backends.libraries import (
    Dtype,
    choose_dtype,
    device_errors,
    loading,
    silence,
    torch_dtype,
    use_threads,
    versions,
)
from editbench.engine.protocols import Question, Stop
from editbench.errors import BackendError, Stopped
from editbench.records import Json, Reply

if TYPE_CHECKING:
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


class TransformersSettings(BaseModel):
    """What can be set for a judge from transformers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(
        "tiny/qwen3-vl", description="hub id, folder, or tiny/... for a built-in toy"
    )
    revision: str | None = Field(None, description="branch, tag or commit of a hub model")
    dtype: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        "auto", description="auto: bf16 on an accelerator, else fp32"
    )
    max_new_tokens: int = Field(160, ge=1, description="longest reply; it must hold the whole JSON")
    temperature: float = Field(0.0, ge=0, description="0 takes the likeliest token every time")
    seed: int = Field(0, description="of the sampling, where temperature is above 0")
    max_pixels: int | None = Field(None, ge=1, description="larger images are scaled down to this")
    constrained: bool = Field(True, description="hold the reply to the rubric's JSON contract")
    allow_pickle: bool = Field(False, description="load weights that are not safetensors")
    trust_remote_code: bool = Field(False, description="run Python code from the model's folder")
    threads: int | None = Field(None, ge=1, description="torch threads; tiny models always use 1")


class TransformersJudge:
    """A vision-language model of transformers behind the Judge protocol."""

    Settings: ClassVar[type[BaseModel]] = TransformersSettings

    def __init__(self, settings: TransformersSettings) -> None:
        self._settings = settings
        self._tiny = tiny.is_tiny(settings.model)
        self._model: Any = None
        self._processor: Any = None
        self._contracts: Contracts | None = None

    @property
    def name(self) -> str:
        return self._settings.model.rstrip("/").split("/")[-1]

    @cached_property
    def identity(self) -> Mapping[str, Json]:
        """What determines a reply. Reads the weights once unless they come from the hub."""
        settings = self._settings
        with remembered("fingerprints") as memo:
            weights = checkpoints.fingerprint(self._path, memo=memo)
        local = Path(settings.model).expanduser().is_dir()
        return {
            "backend": "transformers",
            "version": VERSION,
            "model": "" if local else settings.model,  # a folder is known by its weights
            "weights": weights,
            "dtype": self._dtype,
            "max_new_tokens": settings.max_new_tokens,
            "temperature": settings.temperature,
            "seed": settings.seed if settings.temperature else None,
            "max_pixels": settings.max_pixels,
            "constrained": settings.constrained,
            **({"trust_remote_code": True} if settings.trust_remote_code else {}),
        }

    @cached_property
    def footprint(self) -> int:
        return checkpoints.footprint(
            self._path, self._dtype, allow_pickle=self._settings.allow_pickle
        )

    @cached_property
    def max_batch(self) -> int:
        """One when sampling, since the rows of a batch would share the random numbers."""
        batches = checkpoints.class_name(self._path) in _BATCHES
        return MAX_BATCH if batches and not self._settings.temperature else 1

    def working_bytes(self, width: int, height: int) -> int:
        pixels = min(width * height, self._settings.max_pixels or width * height)
        values = _TINY_WORKING if self._tiny else _WORKING
        return pixels * values * checkpoints.ITEM_BYTES[self._dtype]

    @property
    def is_here(self) -> bool:
        """Whether the model is on this machine."""
        return checkpoints.is_here(self._settings.model, revision=self._settings.revision)

    def fetch(self) -> None:
        """Download the model if it is not on this machine. Raises ``BackendError``."""
        checkpoints.locate(self._settings.model, revision=self._settings.revision, download=True)

    def load(self) -> None:
        settings = self._settings
        path = checkpoints.locate(settings.model, revision=settings.revision, download=True)
        checkpoints.weight_files(path, allow_pickle=settings.allow_pickle)
        silence("transformers")
        with loading(settings.model):
            import transformers

            model = transformers.AutoModelForImageTextToText.from_pretrained(
                path,
                dtype=torch_dtype(self._dtype),
                local_files_only=True,
                use_safetensors=None if settings.allow_pickle else True,
                trust_remote_code=settings.trust_remote_code,
            ).eval()
            processor = processors.load(path, trust_remote_code=settings.trust_remote_code)
            processor.tokenizer.padding_side = "left"
            model.generation_config = self._generation(model.generation_config, processor.tokenizer)
            if settings.constrained:
                vocabulary = model.get_output_embeddings().weight.shape[0]
                self._contracts = Contracts(processor.tokenizer, vocabulary=vocabulary)
        self._model, self._processor = model, processor

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
        use_threads(1 if self._tiny else self._settings.threads)
        with device_errors("judging"):
            return self._generate(questions, stop)

    def provenance(self) -> Mapping[str, Json]:
        return {
            "model_class": checkpoints.class_name(self._path),
            "processor": "torchvision" if processors.has_torchvision() else "pillow",
            "repairs": [],
            "threads": 1 if self._tiny else self._settings.threads,
            "versions": versions(),
        }

    def close(self) -> None:
        self._model = self._processor = self._contracts = None

    @cached_property
    def _path(self) -> Path:
        return checkpoints.locate(self._settings.model, revision=self._settings.revision)

    @cached_property
    def _dtype(self) -> Dtype:
        return choose_dtype(self._settings.dtype, tiny=self._tiny)

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
        device = self._model.device
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
        return inputs.to(self._model.device, dtype=self._model.dtype)

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
