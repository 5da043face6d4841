from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from editbench.engine import keys

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def shuffled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(inner) for inner in value] if isinstance(value, list) else value


@given(VALUES)
def test_the_order_of_names_does_not_matter(value: Any) -> None:
    assert keys.digest("x", value) == keys.digest("x", shuffled(value))


@given(VALUES, VALUES)
def test_different_values_have_different_hashes(a: Any, b: Any) -> None:
    same = keys.canonical(a) == keys.canonical(b)
    assert (keys.digest("x", a) == keys.digest("x", b)) == same
    assert keys.digest("x", a) != keys.digest("y", a)


@pytest.mark.parametrize("value", [math.nan, math.inf, {1: 2}, {"a": b"x"}, object(), {"a": [{2}]}])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        keys.canonical(value)


def test_pixels_count_with_their_mode_and_size() -> None:
    images = [
        Image.new("RGB", (4, 2)),
        Image.new("RGB", (2, 4)),
        Image.new("L", (12, 2)),
        Image.new("RGB", (4, 2), (0, 0, 1)),
    ]
    assert len({keys.pixel_hash(image) for image in images}) == 4
    assert keys.pixel_hash(images[0]) == keys.pixel_hash(images[0].copy())


def test_everything_that_determines_an_edit_is_in_its_key() -> None:
    key = keys.edit_key(["aa"], "add a hat", editor="e", seed=1)
    others = [
        keys.edit_key(["bb"], "add a hat", editor="e", seed=1),
        keys.edit_key(["aa", "aa"], "add a hat", editor="e", seed=1),
        keys.edit_key(["aa"], "add a cat", editor="e", seed=1),
        keys.edit_key(["aa"], "add a hat", editor="f", seed=1),
        keys.edit_key(["aa"], "add a hat", editor="e", seed=2),
    ]
    assert key not in others and len(set(others)) == 5
    assert key == keys.edit_key(("aa",), "add a hat", editor="e", seed=1)


def test_a_verdict_depends_on_pixels_judge_and_prompt() -> None:
    same = {"judge": "j", "system": "s", "user": "u", "contract": "c"}
    made = {keys.verdict_key("edit", ["src"], **same)}
    made |= {keys.verdict_key("edit", ["src"], **same | {name: "other"}) for name in same}
    made |= {keys.verdict_key("edit2", ["src"], **same), keys.verdict_key("edit", ["s2"], **same)}
    assert len(made) == 7


def test_a_seed_comes_from_what_the_pair_is() -> None:
    seed = keys.seed_of(["aa"], "add a hat", base=0)
    assert 0 <= seed < 2**63
    assert seed == keys.seed_of(["aa"], "add a hat", base=0)
    assert seed != keys.seed_of(["aa"], "add a hat", base=1)
    assert seed != keys.seed_of(["aa"], "add a hat", base=0, repeat=1)


@given(st.text(), st.lists(st.text(), max_size=3), st.integers())
def test_a_key_is_the_digest_of_its_parts(text: str, pixels: list[str], seed: int) -> None:
    key = keys.edit_key(tuple(pixels), text, editor="x", seed=seed)
    parts = {"pixels": pixels, "instruction": text, "editor": "x", "seed": seed}
    assert key == "e:" + keys.digest("edit", parts)
