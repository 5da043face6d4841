from __future__ import annotations

import numpy as np
import pytest
from diffusers.image_processor import VaeImageProcessor
from hypothesis import given
from hypothesis import strategies as st

from editbench.backends.outputs import InvalidEdit, to_images


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 4]))
def test_pixels_are_rounded_exactly_as_the_library_does(seed: int, channels: int) -> None:
    pixels = np.random.default_rng(seed).random((2, 5, 7, channels), dtype=np.float32)
    pixels[0, 0, 0, 0], pixels[0, 0, 1, 0] = 0.0, 1.0
    theirs = VaeImageProcessor.numpy_to_pil(pixels)
    assert [image.tobytes() for image in to_images(pixels)] == [
        image.convert("RGB").tobytes() for image in theirs
    ]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_a_number_is_no_edit(bad: float) -> None:
    pixels = np.zeros((1, 4, 4, 3), dtype=np.float32)
    pixels[0, 1, 2, 0] = bad
    with pytest.raises(InvalidEdit, match="1 values") as caught:
        to_images(pixels)
    assert caught.value.state == "edit_invalid"


def test_an_empty_picture_is_no_edit() -> None:
    with pytest.raises(InvalidEdit, match="0 x 4"):
        to_images(np.zeros((1, 0, 4, 3), dtype=np.float32))
