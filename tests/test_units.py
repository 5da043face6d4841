from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editbench.units import format_bytes, format_seconds, parse_bytes, parse_seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("8GB", 8 * 10**9), ("512MiB", 512 * 2**20), ("1.5 kB", 1500), ("12B", 12), ("2TiB", 2**41)],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["8", "", "GB", "-1GB", "8 apples", "8G", "1e9B"])
def test_a_size_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_bytes(text)


def test_a_bare_number_is_answered_with_what_was_meant() -> None:
    with pytest.raises(ValueError, match="write 8GB"):
        parse_bytes("8")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("250ms", 0.25), ("2d", 172800)],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["10", "m", "", "10 minutes", "x10m"])
def test_a_duration_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_seconds(text)


@given(st.integers(0, 10**16))
def test_a_size_survives_printing_to_three_digits(size: int) -> None:
    again = parse_bytes(format_bytes(size).replace("kB", "KB"))
    assert abs(again - size) <= max(0.006 * size, 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.26, "0.3s"),
        (9.96, "10s"),
        (59.6, "1m00s"),
        (130, "2m10s"),
        (11100, "3h05m"),
        (187200, "2d04h"),
    ],
)
def test_durations_take_two_units_at_most(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
