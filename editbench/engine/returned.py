"""What an editor or a judge returned, before it is believed: a slip is a pair's failure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from editbench.records import Failure, Reply

if TYPE_CHECKING:
    from PIL.Image import Image


def proven_edits(values: Sequence[object]) -> list[Image | Failure]:
    """Return each value that is an RGB image with pixels, and a failure for any other.

    Raises ``OSError`` for an image whose file turns out to be damaged now that it is read.
    """
    from PIL.Image import Image

    out: list[Image | Failure] = []
    for value in values:
        if not isinstance(value, Image):
            out.append(_invalid(f"the editor returned no image but {_named(value)}"))
        elif value.mode != "RGB":
            out.append(_invalid(f"the editor returned an image of mode {value.mode}, not RGB"))
        elif not value.width * value.height:
            out.append(_invalid(f"the edit is empty: {value.width} x {value.height} pixels"))
        else:
            value.load()  # here, where a failure is a pair's
            out.append(value)
    return out


def proven_replies(values: Sequence[object]) -> list[Reply | Failure]:
    """Return each value that is a reply with a text, and a failure for any other."""
    out: list[Reply | Failure] = []
    for value in values:
        if isinstance(value, Reply) and isinstance(value.text, str):
            out.append(value)
        else:
            said = f"the judge returned no Reply but {_named(value)}"
            out.append(Failure("judge_failed", "InvalidReply", said))
    return out


def _invalid(message: str) -> Failure:
    return Failure("edit_invalid", "InvalidEdit", message)


def _named(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
