"""Sizes and durations as people write them."""

from __future__ import annotations

import re

_BYTES = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_bytes(text: str) -> int:
    """Return the bytes in a size such as ``8GB``, ``1.5 GiB`` or ``512MiB``.

    Raises ``ValueError``, for a bare number too: 8 what?
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kKmMgGtT]?i?[bB])\s*", text)
    if not match:
        hint = f" (write {text.strip()}GB or {text.strip()}MB)" if text.strip().isdigit() else ""
        raise ValueError(f"expected a size such as '8GB' or '512MiB', got {text!r}{hint}")
    return int(float(match[1]) * _BYTES[match[2].upper()])


def parse_seconds(text: str) -> float:
    """Return the seconds in a duration such as ``90s`` or ``1h30m``. Raises ``ValueError``."""
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", text)
    if not parts or "".join(a + b for a, b in parts) != re.sub(r"\s", "", text):
        raise ValueError(f"expected a duration such as '90s' or '10m', got {text!r}")
    return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))


def format_bytes(count: float) -> str:
    """Return a size in three significant digits, decimal units: ``41.1 GB``."""
    sign = "-" if count < 0 else ""
    size = abs(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            break
        size /= 1000
    digits = 0 if unit == "B" or size >= 99.95 else 1 if size >= 9.995 else 2
    return f"{sign}{size:.{digits}f} {unit}"


def format_seconds(seconds: float) -> str:
    """Return a duration in two units at most: ``0.3s``, ``14s``, ``2m10s``, ``3h05m``."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"
