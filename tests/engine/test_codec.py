from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from editbench.engine.codec import Codec, Encoded, Trial, available, choose, decode, encode, measure
from editbench.errors import StoreError

MODES = (
    "1 L LA P PA RGB RGBA RGBX CMYK YCbCr LAB HSV I F I;16 I;16B I;16L La RGBa"
).split()  # fmt: skip
CODECS: tuple[Codec, ...] = available()


def image_of(mode: str, width: int, height: int, noise: bytes) -> Image.Image:
    image = Image.new(mode, (width, height))
    size = len(image.tobytes())
    if mode in ("P", "PA"):
        image.putpalette(bytes(range(256)) * 3)
    if size:
        image.frombytes((noise * (size // len(noise) + 1))[:size])
    return image


def look(image: Image.Image) -> object:
    palette = image.getpalette("RGBA") if image.mode in ("P", "PA") else None
    return image.mode, image.size, image.tobytes(), palette


@pytest.mark.parametrize("codec", CODECS)
@given(
    mode=st.sampled_from(MODES),
    width=st.integers(0, 40),
    height=st.integers(0, 40),
    noise=st.binary(min_size=1, max_size=600),
)
def test_every_image_comes_back_byte_for_byte(
    codec: Codec, mode: str, width: int, height: int, noise: bytes
) -> None:
    image = image_of(mode, width, height, noise)
    encoded = encode(image, codec)
    assert (encoded.mode, encoded.width, encoded.height) == (mode, width, height)
    assert look(decode(encoded)) == look(image)


@pytest.mark.parametrize("codec", ["webp", "jxl", "png"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_usual_modes_use_the_codec_that_was_asked_for(codec: Codec, mode: str) -> None:
    if codec not in CODECS:
        pytest.skip(f"this installation has no {codec}")
    assert encode(image_of(mode, 9, 7, b"abc"), codec).codec == codec


def test_what_a_codec_cannot_hold_goes_to_another() -> None:
    assert encode(image_of("L", 9, 7, b"abc")).codec == "png"
    assert encode(image_of("F", 9, 7, b"abc")).codec == "raw"
    assert encode(image_of("RGB", 0, 7, b"abc")).codec == "raw"
    assert encode(image_of("RGB", 9, 7, b"abc"), "raw").codec == "raw"


def test_an_image_too_wide_for_webp_comes_back() -> None:
    image = image_of("RGB", 16384, 2, bytes(range(251)))
    encoded = encode(image, "webp")
    assert encoded.codec == "png"
    assert look(decode(encoded)) == look(image)
    assert encode(image_of("RGB", 16383, 1, b"abc"), "webp").codec == "webp"


def test_an_image_that_pillow_would_take_for_a_bomb_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    monkeypatch.setattr("editbench.engine.codec._MOST_PIXELS", 50)
    image = image_of("RGB", 11, 10, b"abc")
    assert look(decode(encode(image))) == look(image)


@pytest.mark.parametrize("codec", CODECS)
def test_hidden_and_opaque_pixels_keep_what_they_are(codec: Codec) -> None:
    hidden = Image.new("RGBA", (20, 10), (10, 20, 30, 0))
    opaque = Image.new("RGBA", (20, 10), (10, 20, 30, 255))
    for image in (hidden, opaque):
        assert look(decode(encode(image, codec))) == look(image)


@pytest.mark.parametrize("codec", CODECS)
def test_metadata_is_not_stored(codec: Codec, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # turned, which must not turn it once more
    Image.new("RGB", (16, 8), "red").save(path, exif=exif, icc_profile=b"profile" * 50)
    with Image.open(path) as image:
        image.load()
        found = decode(encode(image, codec))
        assert look(found) == look(image)
    assert found.info == {}
    assert found.getexif() == {}


@pytest.mark.parametrize("codec", CODECS)
def test_a_picture_changed_after_it_was_opened_is_stored_as_changed(
    codec: Codec, tmp_path: Path
) -> None:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (16, 8), "red").save(path)
    with Image.open(path) as image:
        image.paste((1, 2, 3), (0, 0, 4, 4))
        assert look(decode(encode(image, codec))) == look(image)


def test_transparency_of_a_palette_is_kept() -> None:
    image = image_of("P", 16, 16, bytes(range(256)))
    image.info["transparency"] = 7
    found = decode(encode(image))
    assert found.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()
    assert image.info["transparency"] == 7


def test_what_does_not_fit_its_description_is_refused() -> None:
    encoded = encode(image_of("RGB", 9, 7, b"abc"))
    with pytest.raises(ValueError, match="expected RGB"):
        decode(encoded._replace(width=8))
    with pytest.raises(OSError, match="cannot identify"):
        decode(encoded._replace(payload=b"no image"))
    gif = io.BytesIO()
    image_of("P", 9, 7, b"abc").save(gif, "GIF")
    with pytest.raises(OSError, match="cannot identify"):
        decode(Encoded("png", "P", 9, 7, gif.getvalue()))


def test_a_missing_codec_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    with pytest.raises(StoreError, match="JPEG XL") as caught:
        decode(Encoded("jxl", "RGB", 1, 1, b""))
    assert "pip install" in caught.value.hint
    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: None)
        assert available() == ("webp", "png", "raw")


def test_codecs_are_measured_on_an_image() -> None:
    ticks = iter([1.0, 1.5, 1.5, 2.5, 3.0, 5.0, 5.0, 5.1])
    image = image_of("RGB", 20, 20, b"abc")
    trials = measure(image, ("webp", "raw"), clock=lambda: next(ticks))
    assert [trial.codec for trial in trials] == ["webp", "raw"]
    assert [trial.seconds for trial in trials] == pytest.approx([0.5, 0.1])
    assert [trial.bytes for trial in trials] == [len(encode(image).payload), 1200]
    assert [trial.codec for trial in measure(image_of("F", 2, 2, b"a"), ("webp", "raw"))] == ["raw"]


WEBP = Trial("webp", 0.04, 1_000_000)
JXL = Trial("jxl", 0.006, 1_010_000)
RAW = Trial("raw", 0.001, 3_000_000)


@pytest.mark.parametrize(
    ("step", "room", "chosen"),
    [
        (5.0, None, "webp"),  # an editor of seconds: the smallest
        (0.1, None, "jxl"),  # tens of images a second: what keeps up
        (0.02, None, "raw"),
        (0.001, None, "raw"),  # nothing keeps up: the fastest
        (0.02, 2_000_000, "jxl"),  # room comes before speed
        (0.02, 500_000, "webp"),  # nothing fits: the smallest
    ],
)
def test_the_codec_follows_from_speed_and_room(step: float, room: int | None, chosen: str) -> None:
    assert choose([RAW, JXL, WEBP], step_seconds=step, room=room) == chosen


def test_there_must_be_a_codec_to_choose() -> None:
    with pytest.raises(ValueError, match="no codec"):
        choose([], step_seconds=1)


trials = st.lists(
    st.builds(Trial, st.sampled_from(CODECS), st.floats(0, 1), st.integers(0, 100)), min_size=1
)


@given(trials=trials, step=st.floats(0, 10), room=st.none() | st.integers(0, 100))
def test_no_choice_is_both_smaller_and_faster_than_the_one_made(
    trials: list[Trial], step: float, room: int | None
) -> None:
    codec = choose(trials, step_seconds=step, room=room)
    chosen = [trial for trial in trials if trial.codec == codec]
    assert not all(
        any(other.bytes < one.bytes and other.seconds < one.seconds for other in trials)
        for one in chosen
    )
