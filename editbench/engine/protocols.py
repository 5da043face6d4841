"""What the engine asks of an editor, a judge, a suite and an observer. No base classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from editbench.records import Json, Pair, Picture, Reply

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from editbench.engine.events import Event

Stop = Callable[[], bool]  #: true once the step should be abandoned; then raise ``Stopped``


@dataclass(frozen=True, slots=True)
class EditRequest:
    """One edit to make."""

    pair_id: str
    images: tuple[Image, ...]  #: RGB, EXIF-upright
    instruction: str
    seed: int


@dataclass(frozen=True, slots=True)
class Question:
    """One edit to judge."""

    pair_id: str
    images: tuple[Image, ...]  #: RGB: the sources in order, then the edit, then a reference if any
    system: str
    user: str
    contract: Mapping[str, Json]  #: JSON schema that the reply must satisfy


class Model(Protocol):
    """What editors and judges have in common. Every method is called from one thread."""

    @property
    def name(self) -> str:
        """A short name for people, such as ``Qwen-Image-Edit``."""

    @property
    def identity(self) -> Mapping[str, Json]:
        """Everything of this model that determines its output: backend name and version, model,
        resolved revision or hash of the weights, dtype, quantisation, fully resolved arguments.
        Known before ``load``; canonical JSON values only.
        """

    @property
    def footprint(self) -> int:
        """Bytes of weights on the device, known before ``load``. 0 for a model that needs none."""

    @property
    def max_batch(self) -> int:
        """Largest number of requests that one call may take; 1 unless proven to batch."""

    def working_bytes(self, width: int, height: int) -> int:
        """Estimated bytes beside the weights that one request of this size needs on the device."""

    def load(self) -> None:
        """Read the model into host memory. Raises ``BackendError``."""

    def modules(self) -> Mapping[str, Any]:
        """The loaded ``torch.nn.Module``s by name, for the ResidencyManager; empty if none."""

    def provenance(self) -> Mapping[str, Json]:
        """What is recorded beside results but is no part of the key: library versions, repairs."""

    def close(self) -> None:
        """Let go of everything. Idempotent."""


@runtime_checkable
class Editor(Model, Protocol):
    """An image editor."""

    def edit(self, requests: Sequence[EditRequest], *, stop: Stop) -> list[Image]:
        """Return one image for each request, in order. Raises ``Stopped``, ``OutOfMemory``."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an editor's work for which the device needs only some of its modules."""

    name: str  #: one word, such as ``encode``
    modules: Mapping[str, int]  #: those it needs, named as in ``modules()``, with their bytes


class PartedEditor(Editor, Protocol):
    """An editor that can also work in parts, each for all pairs before the next one starts.

    Optional. An edit made in parts is the same to the last bit as one that ``edit`` makes of one
    request.
    """

    @property
    def parts(self) -> Sequence[Part]:
        """The parts in order, known before ``load``; empty if this model has none."""

    @property
    def state_form(self) -> str:
        """Two editors of one identity read each other's states if this is equal."""

    def state_bytes(self, width: int, height: int) -> int:
        """Estimated bytes of the largest state on the way of a request of this size."""

    def run_part(self, part: str, request: EditRequest, state: bytes, *, stop: Stop) -> bytes:
        """Return the state that a part, but not the last one, makes of the state before it.

        What a state holds is for the editor alone to know; the first part gets an empty one.
        Raises ``Stopped``, ``OutOfMemory``.
        """

    def finish_parts(self, request: EditRequest, state: bytes, *, stop: Stop) -> Image:
        """Return the edit that the last part makes of the state before it."""


@dataclass(frozen=True, slots=True)
class Streaming:
    """What streaming takes: most weights come from the host whenever they are used."""

    held: int  #: bytes of the device at most, those of weights that stay included
    moved: int  #: bytes over the link each time that the model runs through


class ShrinkingModel(Model, Protocol):
    """A model that knows with which other settings it would be smaller. Optional."""

    def smaller(self) -> Mapping[str, int]:
        """Bytes of the weights by setting, as a run file has it: ``quantize = "nf4"``."""


class FiledModel(Model, Protocol):
    """A model that is read from files. Optional; they are read ahead, so that loading is quick."""

    def files(self) -> Sequence[Path]:
        """The files that hold the weights, in the order in which ``load`` reads them."""


class StreamedModel(Model, Protocol):
    """A model that can run on a device that is smaller than its weights.

    Optional. Its results are those of the model on a device that holds it.
    """

    def streaming(self, budget: int) -> Streaming | None:
        """Say what streaming within so many bytes of the device takes; None if it cannot be.

        Known before ``load``.
        """

    def stream(self, place: torch.device, *, budget: int, host: int) -> None:
        """Have the loaded model bring its weights to the device itself, until it is closed.

        ``host`` bytes of host memory may be used beside the weights. Raises ``BackendError``.
        """


@runtime_checkable
class Judge(Model, Protocol):
    """A vision-language judge."""

    def ask(self, questions: Sequence[Question], *, stop: Stop) -> list[Reply]:
        """Return one reply for each question, in order. Raises ``Stopped``, ``OutOfMemory``."""


class Suite(Protocol):
    """Pairs, read lazily. Random access must not load images or more than a few pairs."""

    @property
    def name(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Pair: ...

    def read(self, picture: Picture) -> bytes:
        """Return the encoded bytes of an image. Raises ``SuiteError``. Any thread."""


class Observer(Protocol):
    """Receives every event, in order, on the event loop's thread. Must not block."""

    def __call__(self, event: Event) -> None: ...
