"""Weights of fewer bits: which layers are quantized, by which library, and what that saves.

Models are loaded plainly and then quantized in host memory, one layer after another: the libraries'
own quantizing loaders put weights on the GPU themselves, where only the engine may.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from editbench.backends import checkpoints
from editbench.backends.home import remembered
from editbench.backends.libraries import Dtype, loading, silence
from editbench.errors import BackendError

Quantize = Literal["nf4", "int8", "fp8"]

KINDS: tuple[Quantize, ...] = get_args(Quantize)
PACKAGES: dict[Quantize, str] = {"nf4": "bitsandbytes", "int8": "torchao", "fp8": "torchao"}
BLOCK = 64  #: values that share a scale in nf4
_NF4_TABLE = 16 * 4  #: bytes of nf4's table of values, one for each layer


def check(kind: Quantize) -> None:
    """Raise ``BackendError`` if the library that makes these weights is not installed."""
    package = PACKAGES[kind]
    if find_spec(package) is None:
        raise BackendError(
            f"quantize = {kind!r} needs {package}, which is not installed",
            hint="pip install 'editbench[quantize]'",
        )


def layer_bytes(kind: Quantize, rows: int, columns: int) -> int:
    """Return the bytes of a linear layer's weight, its scales included.

    int8 has a float32 scale and an int8 zero point a row, fp8 a float32 scale a row (torchao), nf4
    half a byte a value and a float32 scale a block (bitsandbytes, without double quantization).
    """
    count = rows * columns
    if kind == "nf4":
        return -(-count // 2) + 4 * -(-count // BLOCK) + _NF4_TABLE
    return count + rows * (5 if kind == "int8" else 4)


def layers(module: Any) -> dict[str, Any]:
    """Return the layers of a model that are quantized, by name: the linear ones, with exceptions.

    The output layer decides between tokens, and what the model's class keeps in fp32 has reasons.
    """
    import torch

    output = module.get_output_embeddings() if hasattr(module, "get_output_embeddings") else None
    kept = set(getattr(module, "_keep_in_fp32_modules", None) or ())
    return {
        name: part
        for name, part in module.named_modules()
        # Subclasses are read by other modules' code, which knows only plain weights; and what the
        # checkpoint has quantized already is of another type.
        if type(part) is torch.nn.Linear
        and type(part.weight) is torch.nn.Parameter
        and part is not output
        and kept.isdisjoint(name.split("."))
    }


def quantize(modules: Mapping[str, Any], kind: Quantize) -> None:
    """Quantize loaded models in place, in host memory. VAEs stay as they are."""
    for name in _quantized_parts(modules):
        if kind == "nf4":
            _to_nf4(modules[name])
        else:
            _by_torchao(modules[name], kind)


def saved_bytes(path: Path, dtype: Dtype) -> dict[str, dict[Quantize, int]]:
    """Return what each way saves of the bytes in ``dtype`` of each of a checkpoint's folders.

    Models are built without memory to see their layers, which takes seconds, so it is remembered.
    Raises ``BackendError``.
    """
    configs = sorted(path.rglob("config.json"))
    texts = [file.read_text(encoding="utf-8") for file in configs]
    versions = [version("transformers"), version("diffusers")]
    facts = json.dumps([checkpoints.class_name(path), texts, versions, dtype])
    with remembered("quantized") as memo:
        key = hashlib.sha256(facts.encode()).hexdigest()
        if key not in memo:
            width = checkpoints.ITEM_BYTES[dtype]
            found = {name: _saved(module, width) for name, module in _skeletons(path)}
            memo[key] = json.dumps(found)
        saved: dict[str, dict[Quantize, int]] = json.loads(memo[key])
    return saved


def _saved(module: Any, width: int) -> dict[Quantize, int]:
    shapes = [layer.weight.shape for layer in layers(module).values()]
    plain = sum(rows * columns for rows, columns in shapes) * width
    return {kind: plain - sum(layer_bytes(kind, *shape) for shape in shapes) for kind in KINDS}


def _skeletons(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield folder and model, without weights or memory, of all that would be quantized."""
    silence("transformers", "diffusers")
    import diffusers
    import transformers
    from accelerate import init_empty_weights

    if (path / "model_index.json").is_file():
        parts = checkpoints.components(path)
        chosen = [(path / name, *parts[name]) for name in _quantized_parts(parts)]
    else:
        chosen = [(path, "transformers", checkpoints.class_name(path))]
    for folder, library, name in chosen:
        found: Any = getattr(transformers if library == "transformers" else diffusers, name, None)
        if not hasattr(found, "from_pretrained") or not (folder / "config.json").is_file():
            continue
        if checkpoints.is_quantized(folder):
            continue
        with loading(path.name), init_empty_weights():
            if library == "transformers":
                model = found(transformers.AutoConfig.from_pretrained(folder))
            else:
                model = found.from_config(found.load_config(folder))
        yield folder.name, model


def _quantized_parts(parts: Mapping[str, object]) -> list[str]:
    return [name for name in parts if name != "vae"]


def _by_torchao(module: Any, kind: Quantize) -> None:
    from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig, quantize_

    chosen = set(map(id, layers(module).values()))
    config = Int8WeightOnlyConfig() if kind == "int8" else Float8WeightOnlyConfig()
    quantize_(module, config, filter_fn=lambda layer, _name: id(layer) in chosen)


def _to_nf4(module: Any) -> None:
    from bitsandbytes.nn import Linear4bit, Params4bit

    options = {"compress_statistics": False, "quant_type": "nf4"}
    for name, layer in layers(module).items():
        weight, bias = layer.weight.data, layer.bias
        made = Linear4bit(
            layer.in_features,
            layer.out_features,
            bias=bias is not None,
            compute_dtype=weight.dtype,
            device="meta",
            **options,
        )
        made.support_avx512bf16_for_cpu = False  # it would repack weights during a step
        made.weight = Params4bit(weight, requires_grad=False, module=made, **options).to("cpu")
        made.bias = bias
        module.set_submodule(name, made)
