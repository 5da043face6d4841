from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editbench.engine.placement import (
    ALIGNMENT,
    Extent,
    Extents,
    Placement,
    aligned,
    claim,
    intersect,
    largest,
    overlay,
    subtract,
    total,
)
from editbench.errors import DoesNotFit

SIZES = st.dictionaries(
    st.sampled_from("abcd"), st.integers(0, 40 * ALIGNMENT), min_size=1, max_size=4
)
TWO = st.fixed_dictionaries({"a": st.integers(1, 40 * ALIGNMENT), "b": st.integers(1, 9000)})


def load(placement: Placement, held: Mapping[str, Extents], name: str) -> dict[str, Extents]:
    """What a region holds after loading one model."""
    taken = claim(placement, held, name=name)
    after = {other: subtract(old, taken.lost.get(other, ())) for other, old in held.items()}
    return after | {name: (placement.extents[name],)}


def capacity_for(sizes: Mapping[str, int], data: st.DataObject) -> int:
    largest = max(map(aligned, sizes.values()))
    return data.draw(st.integers(largest, sum(map(aligned, sizes.values())) + 2000))


@given(sizes=SIZES, data=st.data())
def test_every_model_has_an_aligned_extent_of_its_size_inside_the_region(
    sizes: dict[str, int], data: st.DataObject
) -> None:
    capacity = capacity_for(sizes, data)
    placement = overlay(sizes, capacity=capacity)
    assert placement.capacity <= capacity
    assert list(placement.extents) == list(sizes)
    for name, extent in placement.extents.items():
        assert 0 <= extent.start <= extent.end <= placement.capacity
        assert extent.start % ALIGNMENT == extent.end % ALIGNMENT == 0
        assert extent.bytes == aligned(sizes[name])


@given(sizes=TWO, data=st.data())
def test_two_models_share_exactly_what_does_not_fit(
    sizes: dict[str, int], data: st.DataObject
) -> None:
    placement = overlay(sizes, capacity=capacity_for(sizes, data))
    together = sum(map(aligned, sizes.values()))
    assert placement.overlap("a", "b") == max(0, together - placement.capacity)


@given(sizes=SIZES, data=st.data())
def test_no_two_models_hold_the_same_byte_and_a_loaded_one_holds_all_of_its_own(
    sizes: dict[str, int], data: st.DataObject
) -> None:
    placement = overlay(sizes, capacity=capacity_for(sizes, data))
    held: dict[str, Extents] = {}
    for name in data.draw(st.lists(st.sampled_from(sorted(sizes)), max_size=8)):
        before = held.get(name, ())
        missing = claim(placement, held, name=name).missing
        assert total(missing) + total(before) == placement.extents[name].bytes
        assert not intersect(missing, before)
        held = load(placement, held, name)
        assert total(held[name]) == placement.extents[name].bytes
        owners = sorted(extent for extents in held.values() for extent in extents)
        ends = [extent.end for extent in owners if extent.bytes]
        starts = [extent.start for extent in owners if extent.bytes]
        assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))


@given(sizes=TWO, data=st.data())
def test_after_the_first_loads_only_the_overlap_moves(
    sizes: dict[str, int], data: st.DataObject
) -> None:
    placement = overlay(sizes, capacity=capacity_for(sizes, data))
    held: dict[str, Extents] = {}
    for turn, name in enumerate("ababab"):
        moved = total(claim(placement, held, name=name).missing)
        shared = placement.overlap("a", "b")
        assert moved == (placement.extents[name].bytes if turn < 2 else shared)
        held = load(placement, held, name)


SETS = st.lists(st.frozensets(st.sampled_from("abcd"), min_size=1), max_size=4)


@given(sizes=SIZES, sets=SETS, data=st.data())
def test_models_needed_together_share_no_byte_and_a_set_that_is_too_large_is_refused(
    sizes: dict[str, int], sets: list[frozenset[str]], data: st.DataObject
) -> None:
    together = [names for names in sets if names <= sizes.keys()]
    capacity = data.draw(st.integers(0, sum(map(aligned, sizes.values())) + 2000))
    least = largest(sizes, together)
    try:
        placement = overlay(sizes, capacity=capacity, together=together)
    except DoesNotFit:
        # Sets that share several models in different ways may need more than the largest of them.
        assert capacity // ALIGNMENT * ALIGNMENT < least or len(together) > 2
        return
    assert capacity >= placement.capacity >= least
    for names in together:
        extents = sorted(placement.extents[name] for name in names)
        used = [extent for extent in extents if extent.bytes]
        assert all(one.end <= other.start for one, other in itertools.pairwise(used))


def test_what_all_sets_share_lies_outside_of_what_they_change() -> None:
    unit = ALIGNMENT
    sizes = {"text": 4 * unit, "transformer": 6 * unit, "vae": unit, "judge": 5 * unit}
    together = [("text", "vae"), ("transformer", "vae")]
    extents = overlay(sizes, capacity=8 * unit, together=together).extents
    assert extents["vae"] == (0, unit)
    assert extents["text"] == (unit, 5 * unit)
    assert extents["transformer"] == (unit, 7 * unit)
    assert extents["judge"] == (3 * unit, 8 * unit)


EXTENTS = st.lists(st.integers(0, 60), max_size=8, unique=True).map(
    lambda cuts: tuple(Extent(a, b) for a, b in zip(*[iter(sorted(cuts))] * 2, strict=False))
)


def members(extents: Extents) -> set[int]:
    return {byte for start, end in extents for byte in range(start, end)}


@given(left=EXTENTS, right=EXTENTS)
def test_extents_behave_as_the_sets_of_bytes_that_they_stand_for(
    left: Extents, right: Extents
) -> None:
    for result, expected in (
        (intersect(left, right), members(left) & members(right)),
        (subtract(left, right), members(left) - members(right)),
    ):
        assert members(result) == expected
        assert total(result) == len(expected)
        assert list(result) == sorted(result)
        assert all(extent.bytes for extent in result)


def test_models_that_all_fit_lie_side_by_side() -> None:
    placement = overlay({"a": 600, "b": 1024}, capacity=10_000)
    assert placement == Placement(2048, {"a": Extent(0, 1024), "b": Extent(1024, 2048)})


def test_a_model_larger_than_the_device_is_refused_with_both_sizes() -> None:
    with pytest.raises(DoesNotFit, match=r"editor needs 3.07 kB .* which has 2.05 kB") as caught:
        overlay({"judge": 1, "editor": 3000}, capacity=2500)
    assert "memory.device_budget" in caught.value.hint
