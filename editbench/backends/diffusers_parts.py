"""Takes an editing pipeline apart: encodes, denoises and decodes in calls of their own.

Each part makes the pipeline's whole call. What other parts have computed is answered from their
state instead of being computed again, and the call is left as soon as the part is done. So no step
of a pipeline is written a second time here, and the bits are those of the undivided call.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from editbench.errors import BackendError

FORM = 1  #: raise it when a state would be read in another way
PROMPTS, SOURCES, ENCODE, DENOISE, DECODE = "prompts", "sources", "encode", "denoise", "decode"

#: The methods that do all that comes before the loop over the steps, in the order of their first
#: calls, for classes shown to give the same edits in parts. The last one is called once, and the
#: first thing that it returns are the latents.
METHODS: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    ("QwenImageEditPipeline", "QwenImageEditPlusPipeline", "FluxKontextPipeline"),
    ("encode_prompt", "prepare_latents"),
)
_DECODER = "vae"  #: it also encodes the source
_DENOISER = "transformer"

Answers = dict[str, list[Any]]  #: what each method returned, call after call


def parts_of(names: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return the parts in order, each with those of a pipeline's modules, in bytes, that it needs.

    Prompts and sources are encoded in one part, unless the device would have to be larger for it.
    """
    denoiser, coder = ({name: names[name]} for name in (_DENOISER, _DECODER))
    others = {name: size for name, size in names.items() if name not in denoiser | coder}
    if sum(others.values()) + names[_DECODER] <= max(names.values()):
        first = {ENCODE: others | coder}
    else:
        first = {PROMPTS: others, SOURCES: coder}
    return {**first, DENOISE: denoiser, DECODE: coder}


def encode(pipeline: Any, keywords: Mapping[str, Any], state: bytes, part: str) -> bytes:
    """Return the state after a part that comes before the first step.

    By then prompts are encoded, or sources are and the noise is drawn, or both.
    """
    methods = METHODS[type(pipeline).__name__]
    *earlier, last = methods
    answers = unpack(state, pipeline) if state else {}
    noted = {PROMPTS: earlier, SOURCES: [last], ENCODE: methods}[part]
    answers |= {name: [] for name in noted}

    def noting(name: str) -> Callable[..., Any]:
        method = getattr(pipeline, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            answers[name].append(method(*args, **kwargs))
            if name == last:
                raise _Done
            return answers[name][-1]

        return call

    def leave(*args: Any, **kwargs: Any) -> Any:
        raise _Done

    replaced = {last: leave, **_answering(answers), **{name: noting(name) for name in noted}}
    with _replaced(pipeline, replaced):
        try:
            pipeline(**keywords)
        except _Done:
            return pack(answers)
    raise BackendError(f"{type(pipeline).__name__} made an edit without calling {last}")


def denoise(pipeline: Any, keywords: Mapping[str, Any], state: bytes) -> bytes:
    """Return the state after the last step."""
    answers = unpack(state, pipeline)
    with _replaced(pipeline, _answering(answers)):
        latents = pipeline(**keywords, output_type="latent").images
    # Of what was encoded, decoding asks only for types and shapes.
    answers = {name: [_without_rows(each) for each in given] for name, given in answers.items()}
    *_, last = answers
    answers[last] = [[latents, *answers[last][0][1:]]]
    return pack(answers)


def decode(pipeline: Any, keywords: Mapping[str, Any], state: bytes) -> Any:
    """Return the pipeline's output, its images as arrays of floats."""
    answers = unpack(state, pipeline)
    replaced = _answering(answers)
    *_, last = answers
    answer = replaced[last]

    def without_steps(*args: Any, **kwargs: Any) -> Any:
        pipeline._interrupt = True  # the loop passes over its steps
        return answer(*args, **kwargs)

    with _replaced(pipeline, {**replaced, last: without_steps}):
        return pipeline(**keywords, output_type="np")


class _Done(Exception):
    """Leaves a pipeline's call."""


def _answering(answers: Answers) -> dict[str, Callable[..., Any]]:
    return {name: _teller(iter(given)) for name, given in answers.items()}


def _teller(given: Iterator[Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: next(given)


@contextmanager
def _replaced(pipeline: Any, methods: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    # Not setattr: a pipeline's own takes what is set for one of its components.
    own = vars(pipeline)
    own.update(methods)
    try:
        yield
    finally:
        for name in methods:
            del own[name]


def _without_rows(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_without_rows(each) for each in value]
    return value[:0] if hasattr(value, "shape") else value


def pack(answers: Answers) -> bytes:
    """Return answers as a safetensors file: tensors, and in its metadata how they were nested."""
    import safetensors.torch
    import torch

    tensors: dict[str, Any] = {}

    def name(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            tensors[key := str(len(tensors))] = value.to("cpu").contiguous()
            return {"tensor": key}
        return [name(each) for each in value] if isinstance(value, list | tuple) else value

    shape = {method: name(given) for method, given in answers.items()}
    packed: bytes = safetensors.torch.save(tensors, metadata={"answers": json.dumps(shape)})
    return packed


def unpack(state: bytes, pipeline: Any) -> Answers:
    """Return the answers that a state holds, on the pipeline's device."""
    import safetensors.torch

    device = pipeline._execution_device
    tensors = safetensors.torch.load(state)
    length = int.from_bytes(state[:8], "little")
    shape = json.loads(json.loads(state[8 : 8 + length])["__metadata__"]["answers"])

    def value(named: Any) -> Any:
        if isinstance(named, dict):
            # A copy: in the file it need not be aligned, on which results in 32-bit floats depend.
            return tensors[named["tensor"]].clone().to(device)
        return [value(each) for each in named] if isinstance(named, list) else named

    return {method: value(given) for method, given in shape.items()}
