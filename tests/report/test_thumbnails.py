from __future__ import annotations

import io

import pytest
from PIL import Image

from editbench.report.thumbnails import LONGEST, thumbnail


def opened(data: bytes | None) -> Image.Image:
    assert data is not None
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("limit", [1_000, 5_000, 40_000])
@pytest.mark.parametrize("size", [(700, 500), (60, 900), (1600, 1600)])
def test_a_picture_of_noise_stays_within_its_bytes(limit: int, size: tuple[int, int]) -> None:
    noise = Image.effect_noise(size, 90)
    small = thumbnail(noise, limit=limit)
    if small is not None:
        assert len(small) <= limit
        width, height = opened(small).size
        assert abs(width / height - size[0] / size[1]) < 0.2 * size[0] / size[1]
    else:
        assert limit == 1_000


def test_a_plain_picture_keeps_its_size_up_to_the_longest_side() -> None:
    assert opened(thumbnail(Image.new("RGB", (300, 200), "red"), limit=9_000)).size == (300, 200)
    assert opened(thumbnail(Image.new("L", (2000, 1000)), limit=90_000)).size == (
        LONGEST,
        LONGEST // 2,
    )


def test_a_picture_that_would_show_nothing_is_left_out() -> None:
    assert thumbnail(Image.effect_noise((500, 500), 90), limit=100) is None
    assert thumbnail(Image.new("RGB", (500, 500)), limit=0) is None
    assert opened(thumbnail(Image.new("RGB", (8, 8)), limit=500)).size == (8, 8)
