"""The commands and displays. Uses only the public Python API."""

from __future__ import annotations
