"""The names of the displays, apart from the displays: ``--help`` needs only these."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """The displays."""

    AUTO = "auto"
    DASHBOARD = "dashboard"
    PLAIN = "plain"
    JSON = "json"
    NONE = "none"
