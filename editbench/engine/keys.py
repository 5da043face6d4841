"""What makes two results the same. Pure.

A key is a hash over canonical JSON of everything that determines a result, and of nothing else:
never the position in the list, the batch size, the device, a path or the pair's id.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from editbench.records import Json

if TYPE_CHECKING:
    from PIL.Image import Image

SCHEMA = 1  #: raise it and every stored result is computed anew


_encode = json.JSONEncoder(
    sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False
).encode


def canonical(value: Json) -> bytes:
    """Return the one way to write a JSON value. Raises ``TypeError`` for anything else, NaN too."""
    _check(value)
    return _encode(value).encode("ascii")


def _check(value: Json) -> None:
    if value is None or type(value) in (str, int, bool):
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if type(key) is not str:
                raise TypeError(f"a key must hash str names, got {key!r}")
            _check(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check(inner)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"cannot hash {value}")
    else:
        raise TypeError(f"cannot hash a {type(value).__name__}: {value!r}")


def digest(kind: str, value: Json) -> str:
    """Return the hash of a value, 64 hex digits; ``kind`` keeps different uses apart."""
    return _hash(kind, canonical(value))


def _hash(kind: str, text: bytes) -> str:
    return hashlib.sha256(f"editbench:{kind}:{SCHEMA}\0".encode() + text).hexdigest()


def _digest_of_texts(kind: str, **value: str | int | Sequence[str]) -> str:
    """Return what ``digest`` does, without looking for what cannot be in such a value."""
    items = (f'"{name}":{_text(value[name])}' for name in sorted(value))
    return _hash(kind, f"{{{','.join(items)}}}".encode("ascii"))


def _text(value: str | int | Sequence[str]) -> str:
    """Return what ``_encode`` does, which is quick about a text and slow to begin anything else."""
    if isinstance(value, str):
        return _encode(value)
    return str(value) if isinstance(value, int) else f"[{','.join(map(_encode, value))}]"


def pixel_hash(image: Image, pixels: bytes | None = None) -> str:
    """Return the hash of an image's mode, size and raw pixels, 64 hex digits.

    ``pixels`` are what its ``tobytes`` returns, if they are at hand.
    """
    state = hashlib.sha256(f"{image.mode} {image.width}x{image.height}\0".encode())
    state.update(image.tobytes() if pixels is None else pixels)
    return state.hexdigest()


def seed_of(pixels: Sequence[str], instruction: str, *, base: int, repeat: int = 0) -> int:
    """Return the seed, below 2**63, of what a pair is; the same wherever it stands in its suite."""
    found = _digest_of_texts(
        "seed", pixels=pixels, instruction=instruction, base=base, repeat=repeat
    )
    return int(found[:16], 16) >> 1


def edit_key(pixels: Sequence[str], instruction: str, *, editor: str, seed: int) -> str:
    """Return the key of an edit.

    ``pixels`` are the hashes of its sources in order, ``editor`` the digest of its identity.
    """
    return "e:" + _digest_of_texts(
        "edit", pixels=pixels, instruction=instruction, editor=editor, seed=seed
    )


def verdict_key(
    edit: str,
    sources: Sequence[str],
    *,
    judge: str,
    system: str,
    user: str,
    contract: str,
) -> str:
    """Return the key of a reply.

    ``edit`` and ``sources`` are the hashes of the pixels that the judge sees, ``judge`` and
    ``contract`` the digests of its identity and of the schema that it must satisfy.
    """
    return "v:" + _digest_of_texts(
        "verdict",
        edit=edit,
        sources=sources,
        judge=judge,
        system=system,
        user=user,
        contract=contract,
    )
