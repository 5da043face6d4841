from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from editbench.backends.sizes import Grid, is_size, output_size, within

SIDES = st.integers(1, 3000)


@given(SIDES, SIDES, st.sampled_from([8, 16, 64]), st.sampled_from([None, 256, 512]))
def test_a_size_lies_on_the_grid_and_within_its_limit(
    width: int, height: int, multiple: int, largest: int | None
) -> None:
    size = output_size("source", (width, height), Grid(multiple, largest))
    assert size is not None
    for got, asked in zip(size, (width, height), strict=True):
        assert got % multiple == 0 and got >= multiple
        assert largest is None or got <= largest
        if largest is None and asked >= multiple:
            assert abs(got - asked) <= multiple / 2


def test_the_pipeline_decides_when_asked_to() -> None:
    assert output_size("auto", (300, 200), Grid(16)) is None


def test_a_fixed_size_ignores_the_source() -> None:
    assert output_size((512, 768), (300, 200), Grid(16)) == (512, 768)


def test_only_two_positive_whole_numbers_or_a_word_are_a_size() -> None:
    assert all(map(is_size, ["source", "auto", [64, 128], (1, 1)]))
    assert not any(map(is_size, ["big", [64], [64, 0], [64.0, 64], 64, None, [True, 1]]))


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 5000))
def test_an_image_is_never_above_its_limit_and_never_grows(
    width: int, height: int, pixels: int
) -> None:
    small = within(Image.new("RGB", (width, height)), pixels)
    assert small.width <= width and small.height <= height
    assert small.width * small.height <= max(pixels, width, height)
    assert within(small, None) is small
