from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageStat

from editbench.backends.pillow_editor import PillowEditor, PillowSettings, changes
from editbench.engine.protocols import EditRequest

from .pictures import go_on, noise


def edit(
    text: str, *, seed: int = 0, strength: float = 1.0, image: Image.Image | None = None
) -> Image.Image:
    editor = PillowEditor(PillowSettings(strength=strength))
    return editor.edit([EditRequest("x", (image or noise(1),), text, seed)], stop=go_on)[0]


def mean(image: Image.Image) -> list[float]:
    return list(ImageStat.Stat(image).mean)


@pytest.mark.parametrize("text", ["Make it brighter", "把它变亮"])
def test_brighter_is_brighter(text: str) -> None:
    assert all(new > old for new, old in zip(mean(edit(text)), mean(noise(1)), strict=True))


@pytest.mark.parametrize("text", ["turn it black and white", "改成黑白"])
def test_black_and_white_has_no_color(text: str) -> None:
    red, green, blue = mean(edit(text))
    assert red == green == blue


@pytest.mark.parametrize("text", ["paint the car red", "把车变成红色"])
def test_red_is_redder(text: str) -> None:
    old, new = mean(noise(1)), mean(edit(text))
    assert new[0] - new[1] > old[0] - old[1] + 10


def test_a_flip_is_its_own_inverse() -> None:
    assert edit("flip it", image=edit("flip it")).tobytes() == noise(1).tobytes()


def test_a_rotated_picture_changes_its_shape() -> None:
    assert edit("rotate the picture").size == (64, 96)


def test_several_wishes_are_granted_together() -> None:
    assert len(changes("make it darker and add snow")) == 2
    assert "infrared" not in "red" and len(changes("an infrared picture of Fredericka")) == 1


@given(st.text(), st.integers(0, 2**63 - 1), st.floats(0.1, 1.0))
def test_any_instruction_changes_the_picture_the_same_way_every_time(
    text: str, seed: int, strength: float
) -> None:
    first = edit(text, seed=seed, strength=strength)
    assert first.mode == "RGB"
    assert first.tobytes() == edit(text, seed=seed, strength=strength).tobytes()
    assert first.tobytes() != noise(1).tobytes()


def test_a_seed_places_the_snow() -> None:
    assert edit("let it snow", seed=1).tobytes() != edit("let it snow", seed=2).tobytes()


def test_half_the_strength_is_half_the_change() -> None:
    old, half, full = (mean(x)[0] for x in (noise(1), edit("darker", strength=0.5), edit("darker")))
    assert half == pytest.approx((old + full) / 2, abs=1)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 2)])
def test_the_smallest_pictures_are_edited_too(size: tuple[int, int]) -> None:
    for text in ("snow", "rain", "blur", "sketch", "cartoon", "whatever"):
        assert edit(text, image=noise(1, *size)).size == size
