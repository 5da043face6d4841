from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editbench.engine.frame import Damaged, Record, make_tag, pack, peek, read_tag, unpack

KEY = "e:" + "0f" * 32
keys = st.from_regex(r"[a-z]:[0-9a-f]{1,64}", fullmatch=True)
scalars = st.none() | st.booleans() | st.integers()
values = scalars | st.floats(allow_nan=False, allow_infinity=False)
headers = st.dictionaries(st.text(max_size=8), values | st.text(max_size=20), max_size=4)


def framed(payload: bytes, *, key: str = KEY) -> bytes:
    return pack(key, make_tag(key, {"width": 3, "name": "ü"}), payload)


@given(key=keys, header=headers, payload=st.binary(max_size=300))
def test_a_frame_gives_back_what_was_packed(
    key: str, header: dict[str, object], payload: bytes
) -> None:
    tag = make_tag(key, header)
    frame = pack(key, tag, payload)
    assert unpack(frame, key=key) == Record(header, payload)
    assert peek(io.BytesIO(frame), size=len(frame)) == (key, tag)


@given(payload=st.binary(max_size=100), data=st.data())
def test_a_flipped_bit_anywhere_shows(payload: bytes, data: st.DataObject) -> None:
    frame = bytearray(framed(payload))
    bit = data.draw(st.integers(0, 8 * len(frame) - 1))
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Damaged):
        unpack(bytes(frame), key=KEY)


@given(payload=st.binary(max_size=100), data=st.data())
def test_a_frame_cut_short_or_grown_shows(payload: bytes, data: st.DataObject) -> None:
    frame = framed(payload)
    cut = frame[: data.draw(st.integers(0, len(frame) - 1))]
    for wrong in (cut, cut + bytes(len(frame) - len(cut) + 1), frame + b"\0"):
        with pytest.raises(Damaged):
            unpack(wrong, key=KEY)
        with pytest.raises(Damaged):
            peek(io.BytesIO(wrong), size=len(wrong))


def test_a_frame_of_another_key_is_not_taken() -> None:
    with pytest.raises(Damaged, match="it holds e:other"):
        unpack(framed(b"x", key="e:other"), key=KEY)


@given(header=headers, data=st.data())
def test_a_flipped_bit_in_a_tag_shows(header: dict[str, object], data: st.DataObject) -> None:
    tag = bytearray(make_tag(KEY, header).encode())
    bit = data.draw(st.integers(0, 8 * len(tag) - 1))
    tag[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Damaged):
        read_tag(KEY, bytes(tag))


def test_a_tag_belongs_to_one_key() -> None:
    tag = make_tag(KEY, {"a": 1}).encode()
    assert read_tag(KEY, tag) == {"a": 1}
    with pytest.raises(Damaged):
        read_tag("e:other", tag)
    with pytest.raises(Damaged):
        read_tag(KEY, None)


@pytest.mark.parametrize("header", [{"a": float("nan")}, {1: 2}, {"a": b"x"}, {"a": {3}}])
def test_a_header_is_json_or_refused(header: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        make_tag(KEY, header)
