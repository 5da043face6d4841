from __future__ import annotations

import json
import subprocess
import sys
import weakref
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from editbench.engine.arena import (
    PIECE,
    bind,
    checksums,
    fill,
    host_memory,
    lay_out,
    piece_names,
    unbind,
)
from editbench.engine.leaves import leaves
from editbench.engine.placement import ALIGNMENT
from editbench.errors import OutOfMemory
from tests.engine.networks import denoise, judge, score, transformer
from tests.engine.test_leaves import Bag, Wrapped


def test_groups_lie_one_after_the_other_at_aligned_places() -> None:
    layout = lay_out(leaves({"t": transformer()}))
    offsets = [offset for _, offset in layout.groups]
    assert all(offset % ALIGNMENT == 0 for offset in offsets)
    ends = [offset + group.bytes for group, offset in layout.groups]
    assert all(
        end <= start < end + ALIGNMENT for end, start in zip(ends, offsets[1:], strict=False)
    )
    assert layout.bytes - ALIGNMENT < ends[-1] <= layout.bytes


def test_host_memory_is_exact_zeroed_and_starts_a_page() -> None:
    memory = host_memory(12345)
    assert memory.numel() == memory.untyped_storage().nbytes() == 12345
    assert memory.data_ptr() % 4096 == 0
    assert not memory.any()
    assert host_memory(0).numel() == 0


def test_host_memory_that_cannot_be_had_is_our_error() -> None:
    with pytest.raises(OutOfMemory, match="the host could not hold"):
        host_memory(1 << 60)


def test_a_filled_model_lies_in_the_arena_under_its_old_identities() -> None:
    model = judge()
    before = {name: (id(p), p.detach().clone()) for name, p in model.named_parameters()}
    tied = model.lm_head.weight
    layout = lay_out(leaves({"m": model}))
    memory = host_memory(layout.bytes)
    fill(layout, memory)
    for name, parameter in model.named_parameters():
        identity, value = before[name]
        assert id(parameter) == identity
        assert torch.equal(parameter, value)
        assert (parameter.data_ptr() - memory.data_ptr()) % ALIGNMENT == 0
        assert 0 <= parameter.data_ptr() - memory.data_ptr() < memory.numel()
    assert model.lm_head.weight is tied is model.model.language_model.embed_tokens.weight


def test_two_aligned_places_give_bit_identical_outputs() -> None:
    for build, run in ((transformer, denoise), (judge, score)):
        model = build()
        layout = lay_out(leaves({"m": model}))
        first, second = host_memory(layout.bytes), host_memory(layout.bytes + ALIGNMENT)
        fill(layout, first)
        expected = run(model)
        second[ALIGNMENT:] = first
        bind(layout, second[ALIGNMENT:])
        first.fill_(0xFF)
        assert torch.equal(run(model), expected)


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.bfloat16, torch.float16, torch.complex64, torch.float8_e4m3fn],
    ids=str,
)
def test_an_unbound_tensor_is_nan_of_the_same_shape_and_takes_no_memory(dtype: torch.dtype) -> None:
    bag = Bag(w=torch.zeros(30, 40).to(dtype).t(), s=torch.zeros(()).to(dtype))
    unbind(lay_out(leaves({"m": bag})), torch.device("cpu"))
    for tensor, shape in ((bag.w, (40, 30)), (bag.s, ())):
        assert tensor.shape == shape
        assert tensor.dtype == dtype
        assert tensor.to(torch.complex64).isnan().all()
        assert tensor.untyped_storage().nbytes() == dtype.itemsize


def test_unbound_integers_are_zero_and_packed_formats_at_least_quiet() -> None:
    packed = torch.ones(6, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
    bag = Bag(codes=torch.ones(5, dtype=torch.int8), packed=packed)
    unbind(lay_out(leaves({"m": bag})), torch.device("cpu"))
    assert not bag.codes.any()
    assert (bag.packed.dtype, bag.packed.shape) == (torch.float4_e2m1fn_x2, (6,))


def test_strides_views_scalars_and_wrapped_tensors_survive_the_round_trip() -> None:
    flat = torch.randn(2, 3, 8, 8)
    wrapped = Wrapped(torch.arange(12, dtype=torch.int8).view(3, 4), torch.full((3, 1), 0.5))
    bag = Bag(
        image=flat.contiguous(memory_format=torch.channels_last),
        whole=(line := torch.randn(50)),
        view=line[10:40].view(5, 6).t(),
        repeated=torch.randn(4).expand(3, 4),
        scalar=torch.tensor(7, dtype=torch.int64),
        turn=torch.randn(9, dtype=torch.complex64),
        wrapped=wrapped,
    )
    values = {name: p.detach().clone() for name, p in bag.named_parameters() if name != "wrapped"}
    strides = {name: p.stride() for name, p in bag.named_parameters()}
    layout = lay_out(leaves({"m": bag}))
    memory = host_memory(layout.bytes)
    fill(layout, memory)
    unbind(layout, torch.device("cpu"))
    bind(layout, memory)
    for name, value in values.items():
        found = bag.get_parameter(name)
        assert torch.equal(found, value), name
        assert found.stride() == strides[name], name
    assert bag.view.data_ptr() == bag.whole.data_ptr() + 40
    assert torch.equal(bag.wrapped * 1.0, torch.arange(12).view(3, 4) * 0.5)


def test_tensors_made_for_inference_can_be_moved() -> None:
    with torch.inference_mode():
        model = torch.nn.Linear(4, 4)
    expected = model.weight.clone()
    layout = lay_out(leaves({"m": model}))
    fill(layout, host_memory(layout.bytes))
    assert torch.equal(model.weight, expected)


def test_originals_are_let_go_of() -> None:
    model = torch.nn.Linear(64, 64)
    original = weakref.ref(model.weight.untyped_storage())
    layout = lay_out(leaves({"m": model}))
    fill(layout, host_memory(layout.bytes))
    assert original() is None


PEAK = """
import json, torch
from editbench.engine.arena import fill, host_memory, lay_out
from editbench.engine.leaves import leaves

def field(name):
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024

sizes = [256] * 1000 + [2048] * 5
model = torch.nn.ModuleList([torch.nn.Linear(size, size, bias=False) for size in sizes])
layout = lay_out(leaves({"m": model}))
full = field("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
fill(layout, host_memory(layout.bytes))
peak, after = field("VmHWM") - full, field("VmRSS") - full
print(json.dumps({"size": layout.bytes, "peak": peak, "after": after}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_filling_needs_little_more_memory_than_one_copy_of_the_model() -> None:
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["size"] > 300e6
    # Beside the model itself: 64 MiB between two trims, a group of 16 MiB, the allocator's slack.
    assert found["peak"] < 110e6
    assert found["after"] < 30e6


def test_a_checksum_is_the_weighted_sum_it_says() -> None:
    words = torch.randint(-(2**62), 2**62, (1000,))
    expected = sum(word * (2 * i + 1) for i, word in enumerate(words.tolist())) % 2**64
    (found,) = checksums(words.view(torch.uint8))
    assert found % 2**64 == expected
    assert checksums(host_memory(0)) == []


@given(
    at=st.integers(0, 255), other=st.integers(0, 255), bit=st.integers(0, 7), seed=st.integers(0)
)
def test_a_checksum_sees_one_bit_and_two_words_that_changed_places(
    at: int, other: int, bit: int, seed: int
) -> None:
    words = torch.randint(
        -(2**62), 2**62, (256,), generator=torch.Generator().manual_seed(seed % 2**63)
    )
    before = checksums(words.view(torch.uint8))
    swapped = words.clone()
    swapped[at], swapped[other] = words[other], words[at]
    assert (checksums(swapped.view(torch.uint8)) == before) == torch.equal(swapped, words)
    flipped = words.clone().view(torch.uint8)
    flipped[at * 8 + bit] ^= 1 << bit
    assert checksums(flipped) != before


def test_a_damaged_piece_is_found_and_names_what_lies_in_it() -> None:
    model = torch.nn.ModuleList([torch.nn.Linear(1000, 1000) for _ in range(5)])
    layout = lay_out(leaves({"m": model}))
    memory = host_memory(layout.bytes)
    fill(layout, memory)
    before = checksums(memory)
    assert len(before) == -(-layout.bytes // PIECE) == 3
    memory[2 * PIECE + 100] ^= 1
    after = checksums(memory)
    changed = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert changed == [2]
    named = [set(piece_names(layout, piece)) for piece in range(3)]
    assert named[2] == {"m.4.weight", "m.4.bias"}
    assert set().union(*named) == {leaf.name for group, _ in layout.groups for leaf in group.leaves}
    assert all(len(one & two) == 1 for one, two in pairwise(named))
