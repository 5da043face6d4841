"""From what a pipeline returns to pictures, without passing off a fault as an edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from editbench.errors import EditbenchError
from editbench.records import State

if TYPE_CHECKING:
    from PIL.Image import Image


class InvalidEdit(EditbenchError):
    """The editor finished, but what it made is not a picture."""

    state: State = "edit_invalid"


def to_images(pixels: Any) -> list[Image]:
    """Return RGB images of an array of floats in 0..1, shaped (images, height, width, channels).

    Rounds exactly as diffusers does for ``output_type="pil"``, which would have turned NaN into
    black without a word. Raises ``InvalidEdit``.
    """
    import numpy as np
    from PIL import Image

    if pixels.size == 0:
        raise InvalidEdit(f"the edit is empty: {pixels.shape[1]} x {pixels.shape[2]} pixels")
    bad = int(pixels.size - np.count_nonzero(np.isfinite(pixels)))
    if bad:
        raise InvalidEdit(
            f"the edit holds {bad} values that are not numbers", hint="try another dtype, or fp32"
        )
    whole = (pixels * 255).round().astype("uint8")
    if whole.shape[-1] == 1:
        whole = whole[..., 0]
    return [Image.fromarray(array).convert("RGB") for array in whole]
