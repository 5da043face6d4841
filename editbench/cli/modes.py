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


class Thumbnails(StrEnum):
    """How pictures are shown in a terminal."""

    OFF = "off"
    AUTO = "auto"
    KITTY = "kitty"
    ITERM2 = "iterm2"
    SIXEL = "sixel"
    BLOCKS = "blocks"
