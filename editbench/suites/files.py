"""Reads parts of files, with errors that name them."""

from __future__ import annotations

import base64
import binascii
import json
import os
from pathlib import Path

from editbench.errors import SuiteError
from editbench.records import Picture


def read_range(path: str | Path, start: int = 0, length: int = -1) -> bytes:
    """Return ``length`` bytes from ``start`` on, or all that follow. Raises ``SuiteError``."""
    try:
        file = os.open(path, os.O_RDONLY)  # ``open`` makes twice as many calls for a small file
        try:
            if length < 0:
                length = max(0, os.fstat(file).st_size - start)
            found = _read(file, start, length)
        finally:
            os.close(file)
    except FileNotFoundError:
        raise SuiteError(f"there is no file {path}") from None
    except OSError as exc:
        raise SuiteError(f"cannot read {path}: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise SuiteError(f"{str(path)!r} cannot be the name of a file") from exc
    if len(found) < length:
        raise SuiteError(f"{path} has changed: it ends before byte {start + length}")
    return found


def _read(file: int, start: int, length: int) -> bytes:
    found = b""
    while len(found) < length:  # the system may stop short of what there is
        more = os.pread(file, length - len(found), start + len(found))
        if not more:
            break
        found += more
    return found


def read_picture(picture: Picture) -> bytes:
    """Return the encoded image that a picture points at. Raises ``SuiteError``."""
    found = read_range(picture.path, picture.offset, picture.length)
    return _unpack(found) if picture.base64 else found


def _unpack(text: bytes) -> bytes:
    """Decode base64 as it stands in JSON: perhaps escaped, perhaps behind a ``data:`` prefix."""
    try:
        if b"\\" in text:
            text = str(json.loads(b'"' + text + b'"')).encode("ascii")
        if text[:5].lower() == b"data:":
            text = text.partition(b",")[2]
        return base64.b64decode(text.translate(None, b" \t\r\n"), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise SuiteError(f"the image is not base64: {exc}") from exc
