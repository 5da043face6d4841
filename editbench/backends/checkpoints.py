"""Facts about a checkpoint, read from its files without loading the model.

Knows diffusers pipelines (``model_index.json``) and transformers models (``config.json``), in a
local folder or in the local Hugging Face cache.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import struct
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

from editbench.backends import tiny
from editbench.backends.libraries import Dtype
from editbench.errors import BackendError

ITEM_BYTES: dict[Dtype, int] = {"fp32": 4, "bf16": 2, "fp16": 2}

_INDEXES = ("model_index.json", "config.json")
_STEMS = ("diffusion_pytorch_model", "model")
_PICKLES = {".bin", ".pt", ".pth", ".ckpt"}
_HASHED = {".safetensors", ".json", ".jinja", ".txt", ".model", ".tiktoken", ".py", *_PICKLES}
_FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_STORED = {"I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2}
_HEADER_LIMIT = 100_000_000  #: the format's own limit on its header, in bytes
_CHUNK = 1 << 22  #: bytes of a weight file read at a time

Progress = Callable[[int, int], None]  #: takes how much is done, and of how much


def locate(model: str, *, revision: str | None = None, download: bool = False) -> Path:
    """Return the folder that holds a model. A tiny one is built if need be.

    A hub id is looked up in the local cache; only ``download=True`` may use the network. Raises
    ``BackendError``.
    """
    if tiny.is_tiny(model):
        return tiny.checkpoint(model)
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") != 1:
        raise BackendError(
            f"there is no folder {model}", hint="a hub id looks like Qwen/Qwen-Image-Edit"
        )
    return _fetch(model, revision) if download else _cached(model, revision)


def is_here(model: str, *, revision: str | None = None) -> bool:
    """Return whether ``locate`` finds the model without the network."""
    try:
        locate(model, revision=revision)
    except BackendError:
        return False
    return True


def _cached(model: str, revision: str | None) -> Path:
    from huggingface_hub import try_to_load_from_cache

    for name in _INDEXES:
        found = try_to_load_from_cache(model, name, revision=revision)
        if isinstance(found, str):
            return Path(found).parent
    at = f" at revision {revision}" if revision else ""
    more = f" --revision {revision}" if revision else ""
    raise BackendError(
        f"{model}{at} is not on this machine",
        hint=f"download it first: hf download {model}{more}",
    )


def _fetch(model: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return _cached(model, revision)
    except BackendError as missing:
        try:
            return Path(snapshot_download(model, revision=revision))
        except Exception as exc:  # whatever the hub client and its transport may raise
            raise BackendError(
                f"cannot download {model}: {_first_line(exc)}", hint=missing.hint
            ) from exc


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object from a file. Raises ``BackendError``."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise BackendError(f"cannot read {path.name} of {path.parent.name}: {exc}") from exc
    if not isinstance(value, dict):
        raise BackendError(f"{path.name} of {path.parent.name} is not a JSON object")
    return value


def class_name(path: Path) -> str:
    """Return the pipeline's class, or the model's architecture; empty if it does not say."""
    if (path / "model_index.json").is_file():
        return str(read_json(path / "model_index.json").get("_class_name", ""))
    named = read_json(path / "config.json").get("architectures") or [""]
    return str(named[0])


def components(path: Path) -> dict[str, tuple[str, str]]:
    """Return library and class of each component that ``model_index.json`` names."""
    return {
        name: (str(value[0]), str(value[1]))
        for name, value in read_json(path / "model_index.json").items()
        if isinstance(value, list) and len(value) == 2 and all(value)
    }


def weight_files(path: Path, *, allow_pickle: bool = False) -> list[Path]:
    """Return the files that hold the weights of a pipeline or a model. Raises ``BackendError``.

    Safetensors are preferred. Anything that unpickles can run code, so it takes ``allow_pickle``.
    """
    if not (path / "model_index.json").is_file():
        files = _weights_of(path, allow_pickle=allow_pickle)
        if not files:
            raise BackendError(f"{path.name} holds no weights")
        return files
    return [
        file
        for name in components(path)
        if (path / name).is_dir()
        for file in _weights_of(path / name, allow_pickle=allow_pickle)
    ]


def _weights_of(folder: Path, *, allow_pickle: bool) -> list[Path]:
    for stem in _STEMS:
        index = folder / f"{stem}.safetensors.index.json"
        if index.is_file():
            names = sorted(set(read_json(index).get("weight_map", {}).values()))
            if gone := [name for name in names if not (folder / name).is_file()]:
                raise BackendError(
                    f"{folder.name} lacks {len(gone)} weight files, such as {gone[0]}"
                )
            return [folder / name for name in names]
        if (folder / f"{stem}.safetensors").is_file():
            return [folder / f"{stem}.safetensors"]
    pickled = sorted(file for file in folder.iterdir() if file.suffix in _PICKLES)
    if pickled and not allow_pickle:
        raise BackendError(
            f"{folder.name} keeps its weights in {pickled[0].name}, a format that can run code",
            hint="convert them to safetensors, or set allow_pickle = true if you trust them",
        )
    return pickled


def footprint(path: Path, dtype: Dtype, *, allow_pickle: bool = False) -> int:
    """Return the bytes of weights once loaded in ``dtype``, from the headers of the files.

    Floating tensors count in ``dtype``, others and quantised models as stored. Pickled weights
    count with the size of their file. Raises ``BackendError``.
    """
    return sum(
        sum(tensors.values())
        for tensors in tensor_bytes(path, dtype, allow_pickle=allow_pickle).values()
    )


def tensor_bytes(
    path: Path, dtype: Dtype, *, allow_pickle: bool = False
) -> dict[str, dict[str, int]]:
    """Return the bytes of each tensor, by name, of each folder with weights, as ``footprint``."""
    found: dict[str, dict[str, int]] = {}
    for file in weight_files(path, allow_pickle=allow_pickle):
        width = None if is_quantized(file.parent) else ITEM_BYTES[dtype]
        tensors = (
            {file.name: file.stat().st_size}
            if file.suffix in _PICKLES
            else {name: _bytes(tensor, width) for name, tensor in _header(file).items()}
        )
        found.setdefault(file.parent.name, {}).update(tensors)
    return found


def is_quantized(folder: Path) -> bool:
    """Return whether a folder's weights are stored quantized."""
    config = folder / "config.json"
    return config.is_file() and "quantization_config" in read_json(config)


def _bytes(tensor: dict[str, Any], float_bytes: int | None) -> int:
    kind, count = tensor["dtype"], int(math.prod(tensor["shape"]))
    if kind in _FLOATS:
        return count * (float_bytes or _FLOATS[kind])
    return count * _STORED.get(kind, 1)


def _header(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > _HEADER_LIMIT:
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
    except (OSError, ValueError, struct.error) as exc:
        raise BackendError(f"{file.name} is not a whole safetensors file: {exc}") from exc
    return dict(header)


def fingerprint(
    path: Path,
    *,
    memo: MutableMapping[str, str] | None = None,
    progress: Progress | None = None,
) -> str:
    """Return what tells these weights from others: a snapshot's commit, else a hash in hex.

    The hash covers names and contents of weight, configuration, tokenizer and code files. ``memo``
    remembers the hash of a file by its path, size and time of change, since tens of gigabytes take
    minutes to read. ``progress`` receives the bytes read and all that are to be read.
    """
    if path.parent.name == "snapshots" and re.fullmatch(r"[0-9a-f]{40}", path.name):
        return path.name
    memo = {} if memo is None else memo
    files = {file: _known_as(file) for file in _hashed_files(path)}
    size = sum(file.stat().st_size for file, name in files.items() if name not in memo)
    done = 0
    total = hashlib.sha256()
    for file, name in files.items():
        if name not in memo:
            digest = hashlib.sha256()
            for chunk in _chunks(file):
                digest.update(chunk)
                done += len(chunk)
                if progress:
                    progress(done, size)
            memo[name] = digest.hexdigest()
        total.update(f"{file.relative_to(path).as_posix()}\0{memo[name]}\n".encode())
    return total.hexdigest()


def _hashed_files(path: Path) -> Iterator[Path]:
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if file.suffix in _HASHED and not hidden and file.is_file():
            yield file


def _known_as(file: Path) -> str:
    stat = os.stat(file)
    return f"{file}:{stat.st_size}:{stat.st_mtime_ns}"


def _chunks(file: Path) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(_CHUNK))
    with file.open("rb", buffering=0) as stream:
        while size := stream.readinto(buffer):
            yield buffer[:size]
