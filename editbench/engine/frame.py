"""How a stored value looks: it says what it is, and shows any damage. Pure.

    magic  checksum  lengths  key  tag  payload

The checksum covers all that follows it. The tag is the header as JSON with a checksum of its own,
because it is also kept in the index, where it is read without the rest.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import BinaryIO, NamedTuple

from editbench.engine.keys import canonical
from editbench.records import Json

MAGIC = b"EBF\x01"
_HEAD = struct.Struct("<4s16s")
_LENGTHS = struct.Struct("<HIQ")  #: bytes of key, tag and payload
_START = _HEAD.size + _LENGTHS.size


class Damaged(ValueError):
    """What is stored is not what was written; the text says how it shows."""


class Record(NamedTuple):
    """One stored result."""

    header: Mapping[str, Json]
    payload: bytes


def make_tag(key: str, header: Mapping[str, Json]) -> str:
    """Return a header as text that is checked when it is read. Raises ``TypeError`` if not JSON."""
    text = canonical(dict(header))
    return b" ".join((_tag_digest(key, text), text)).decode("ascii")


def read_tag(key: str, tag: bytes | None) -> Mapping[str, Json]:
    """Return the header in a tag. Raises ``Damaged``."""
    digest, _, text = (tag or b"").partition(b" ")
    if digest != _tag_digest(key, text):
        raise Damaged("its header does not match its checksum")
    header: Mapping[str, Json] = json.loads(text)
    return header


def pack(key: str, tag: str, payload: bytes) -> bytes:
    """Return the frame of a record."""
    name, text = key.encode("ascii"), tag.encode("ascii")
    start = b"".join((_LENGTHS.pack(len(name), len(text), len(payload)), name, text))
    return b"".join((_HEAD.pack(MAGIC, _digest(start, payload)), start, payload))


def unpack(frame: bytes, *, key: str) -> Record:
    """Return the record in a frame. Raises ``Damaged`` unless every bit is as it was written."""
    name_size, tag_size, size = _lengths(frame[:_START], len(frame))
    view = memoryview(frame)
    if _digest(view[_HEAD.size :]) != _HEAD.unpack_from(frame)[1]:
        raise Damaged("it does not match its checksum")
    tag_at = _START + name_size
    found = str(view[_START:tag_at], "ascii")
    if found != key:
        raise Damaged(f"it holds {found}")
    header = read_tag(found, bytes(view[tag_at : tag_at + tag_size]))
    return Record(header, bytes(view[len(frame) - size :]))


def peek(file: BinaryIO, *, size: int) -> tuple[str, str]:
    """Return the key and the tag of a frame of ``size`` bytes without reading its payload.

    Raises ``Damaged``. The payload is not checked.
    """
    name_size, tag_size, _ = _lengths(file.read(_START), size)
    key = file.read(name_size).decode("ascii", "replace")
    tag = file.read(tag_size)
    read_tag(key, tag)
    return key, tag.decode("ascii")


def _lengths(start: bytes, size: int) -> tuple[int, int, int]:
    if len(start) < _START or not start.startswith(MAGIC):
        raise Damaged("it is no frame")
    name_size, tag_size, payload_size = _LENGTHS.unpack_from(start, _HEAD.size)
    if _START + name_size + tag_size + payload_size != size:
        raise Damaged(f"it has {size} bytes where its frame says otherwise")
    return name_size, tag_size, payload_size


def _digest(*pieces: bytes | memoryview) -> bytes:
    state = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        state.update(piece)
    return state.digest()


def _tag_digest(key: str, text: bytes) -> bytes:
    both = key.encode() + b" " + text
    return hashlib.blake2b(both, digest_size=8).hexdigest().encode()
