"""The checkpoint that a backend's settings choose: its place, its identity, its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from editbench.backends import checkpoints, quantized, tiny
from editbench.backends.home import remembered
from editbench.backends.libraries import Dtype, choose_dtype, loading, torch_dtype, versions
from editbench.errors import BackendError
from editbench.records import Json


class CheckpointSettings(BaseModel):
    """What can be set for any model that is read from a checkpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(description="hub id, folder, or tiny/... for a built-in toy")
    revision: str | None = Field(None, description="branch, tag or commit of a hub model")
    dtype: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        "auto", description="auto: bf16 on an accelerator, else fp32"
    )
    quantize: quantized.Quantize | None = Field(
        None, description="hold the weights of linear layers in fewer bits: nf4, int8 or fp8"
    )
    allow_pickle: bool = Field(False, description="load weights that are not safetensors")
    trust_remote_code: bool = Field(False, description="run Python code from the model's folder")
    threads: int | None = Field(None, ge=1, description="torch threads; tiny models always use 1")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint, its files looked up when they are first asked for. Loads no model.

    Raises ``BackendError`` if a library that the settings need is missing.
    """

    settings: CheckpointSettings

    def __post_init__(self) -> None:
        if self.settings.quantize:
            quantized.check(self.settings.quantize)

    @property
    def name(self) -> str:
        return self.settings.model.rstrip("/").split("/")[-1]

    @property
    def tiny(self) -> bool:
        return tiny.is_tiny(self.settings.model)

    @property
    def threads(self) -> int | None:
        """How many threads torch is to use; None for as many as it likes."""
        return 1 if self.tiny else self.settings.threads

    @cached_property
    def path(self) -> Path:
        """Its folder on this machine. Raises ``BackendError``."""
        return checkpoints.locate(self.settings.model, revision=self.settings.revision)

    @cached_property
    def dtype(self) -> Dtype:
        return choose_dtype(self.settings.dtype, tiny=self.tiny)

    @cached_property
    def class_name(self) -> str:
        return checkpoints.class_name(self.path)

    @cached_property
    def identity(self) -> Mapping[str, Json]:
        """Its part of what determines a result. Reads the weights once, if not from the hub."""
        with remembered("fingerprints") as memo:
            weights = checkpoints.fingerprint(self.path, memo=memo)
        local = Path(self.settings.model).expanduser().is_dir()
        return {
            "model": "" if local else self.settings.model,  # a folder is known by its weights
            "weights": weights,
            "dtype": self.dtype,
            **({"quantize": self.settings.quantize} if self.settings.quantize else {}),
            **({"trust_remote_code": True} if self.settings.trust_remote_code else {}),
        }

    def recognise(self, progress: checkpoints.Progress) -> None:
        """Read what ``identity`` would have to read: nothing of a hub model, or if it is known.

        ``progress`` receives bytes done and bytes in all; what it raises ends the reading.
        """
        with remembered("fingerprints") as memo:
            checkpoints.fingerprint(self.path, memo=memo, progress=progress)

    @property
    def footprint(self) -> int:
        """The bytes of its weights once loaded."""
        return sum(self.module_footprints.values())

    @cached_property
    def module_footprints(self) -> Mapping[str, int]:
        """The bytes of the weights of each of a pipeline's modules; a model has one."""
        return self._footprints(self.settings.quantize)

    def smaller(self) -> dict[str, int]:
        """Return settings with which the weights would take fewer bytes, and how many."""
        found: dict[str, int] = {}
        if self.dtype == "fp32" and not self.settings.quantize:
            allow_pickle = self.settings.allow_pickle
            plain = checkpoints.footprint(self.path, "bf16", allow_pickle=allow_pickle)
            found['dtype = "bf16"'] = plain
        with suppress(BackendError):  # a class that cannot be built from its configuration alone
            for kind in quantized.KINDS:
                found[f'quantize = "{kind}"'] = sum(self._footprints(kind).values())
        return {setting: size for setting, size in found.items() if size < self.footprint}

    @property
    def streamable(self) -> bool:
        """Whether its weights are plain, so that the libraries' hooks can bring them."""
        folders = (self.path, *(self.path / name for name in self.tensors))
        return not self.settings.quantize and not any(map(checkpoints.is_quantized, folders))

    def values_bytes(self, count: int) -> int:
        """Return the bytes of so many values in its dtype."""
        return count * checkpoints.ITEM_BYTES[self.dtype]

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        return checkpoints.is_here(self.settings.model, revision=self.settings.revision)

    def fetch(self) -> Path:
        """Return its folder; download it if it is not here. Raises ``BackendError``."""
        settings = self.settings
        return checkpoints.locate(settings.model, revision=settings.revision, download=True)

    def files(self) -> list[Path]:
        """Return the files that hold the weights. Raises ``BackendError``."""
        return checkpoints.weight_files(self.path, allow_pickle=self.settings.allow_pickle)

    def load_arguments(self) -> dict[str, Any]:
        """Return what its library's ``from_pretrained`` is told. Raises ``BackendError``."""
        settings = self.settings
        self.files()
        return {
            "dtype": torch_dtype(self.dtype),
            "local_files_only": True,
            "use_safetensors": None if settings.allow_pickle else True,
            "trust_remote_code": settings.trust_remote_code,
        }

    def quantize(self, modules: Mapping[str, Any]) -> None:
        """Quantize the loaded modules in place, if the settings say so."""
        if kind := self.settings.quantize:
            with loading(self.name):
                quantized.quantize(modules, kind)

    def versions(self) -> dict[str, str]:
        """Return the versions of the libraries that can change a result."""
        kind = self.settings.quantize
        return versions(*([quantized.PACKAGES[kind]] if kind else []))

    @cached_property
    def tensors(self) -> Mapping[str, Mapping[str, int]]:
        """The bytes of each tensor of each module, not quantized."""
        allow_pickle = self.settings.allow_pickle
        return checkpoints.tensor_bytes(self.path, self.dtype, allow_pickle=allow_pickle)

    def _footprints(self, kind: quantized.Quantize | None) -> dict[str, int]:
        sizes = {name: sum(tensors.values()) for name, tensors in self.tensors.items()}
        if kind:
            for name, saved in quantized.saved_bytes(self.path, self.dtype).items():
                sizes[name] -= saved[kind]
        return sizes
