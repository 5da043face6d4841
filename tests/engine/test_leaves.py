from __future__ import annotations

from typing import Any

import pytest
import torch

from editbench.engine.leaves import Group, leaves, loose, tensors
from editbench.errors import BackendError
from tests.engine.networks import judge, transformer


class Bag(torch.nn.Module):
    """A module with exactly these parameters and buffers."""

    def __init__(self, buffers: dict[str, Any] | None = None, **parameters: Any) -> None:
        super().__init__()
        for name, tensor in parameters.items():
            frozen = torch.nn.Parameter(tensor, requires_grad=False)
            self.register_parameter(name, frozen)
        for name, tensor in (buffers or {}).items():
            self.register_buffer(name, tensor)


def shape(groups: list[Group]) -> list[tuple[list[str], int, bool]]:
    return [([leaf.name for leaf in group.leaves], group.bytes, group.fixed) for group in groups]


def test_a_tied_weight_is_one_leaf_under_its_first_name() -> None:
    model = judge()
    names = [leaf.name for group in leaves({"judge": model}) for leaf in group.leaves]
    assert "judge.model.language_model.embed_tokens.weight" in names
    assert "judge.lm_head.weight" not in names
    assert len(names) == len({id(tensor) for _, tensor, _ in tensors({"judge": model})})


def test_every_byte_of_a_real_model_is_counted_once() -> None:
    model = transformer()
    expected = sum(p.numel() * p.element_size() for p in model.parameters())
    assert sum(group.bytes for group in leaves({"t": model})) == expected


def test_views_of_each_other_are_one_group_and_neighbors_in_one_storage_are_not() -> None:
    flat = torch.arange(100, dtype=torch.float32)
    bag = Bag(a=flat[:40], b=flat[20:60].view(5, 8).t(), c=flat[60:])
    assert shape(leaves({"m": bag})) == [(["m.a", "m.b"], 240, False), (["m.c"], 160, False)]
    view = leaves({"m": bag})[0].leaves[1]
    assert (view.offset, view.shape, view.stride) == (80, (8, 5), (1, 8))


def test_a_group_starts_where_every_dtype_fits() -> None:
    flat = torch.zeros(64, dtype=torch.uint8)
    bag = Bag(low=flat[2:10].view(torch.bfloat16), high=flat[8:24].view(torch.float32))
    (group,) = leaves({"m": bag})
    assert [(leaf.name, leaf.offset) for leaf in group.leaves] == [("m.low", 2), ("m.high", 8)]
    assert group.bytes == 24


def test_models_that_share_a_weight_in_one_adoption_share_it_once() -> None:
    first, second = Bag(w=torch.ones(4)), Bag()
    second.w = first.w
    assert shape(leaves({"one": first, "two": second})) == [(["one.w"], 16, False)]


def test_scalars_complex_integers_and_empty_tensors_are_leaves_too() -> None:
    bag = Bag(
        scalar=torch.tensor(2.0),
        turn=torch.ones(3, dtype=torch.complex64),
        packed=torch.ones(5, dtype=torch.int8),
        empty=torch.empty(0, 4),
    )
    assert sorted(shape(leaves({"m": bag}))) == [
        (["m.empty"], 0, True),
        (["m.packed"], 5, False),
        (["m.scalar"], 4, False),
        (["m.turn"], 24, False),
    ]


def test_buffers_and_what_shares_their_bytes_stay_where_they_are() -> None:
    flat = torch.zeros(8)
    bag = Bag(buffers={"count": torch.tensor(3), "view": flat[:4]}, whole=flat, free=torch.ones(2))
    fixed = {name: fixed for names, _, fixed in shape(leaves({"m": bag})) for name in names}
    assert fixed == {"m.whole": True, "m.view": True, "m.count": True, "m.free": False}


def test_wrapped_tensors_are_taken_apart() -> None:
    wrapped = Wrapped(torch.ones(4, 4, dtype=torch.int8), torch.full((4, 1), 0.5))
    assert shape(leaves({"m": Bag(w=wrapped)})) == [
        (["m.w.inner"], 16, False),
        (["m.w.scale"], 16, False),
    ]


def test_plain_attributes_are_counted_and_left_alone() -> None:
    bag = Bag(w=torch.ones(2))
    bag.table = torch.ones(4, dtype=torch.complex64)
    bag.parts = [torch.ones(2), "text"]
    bag.named = {"x": torch.ones(1)}
    assert loose({"m": bag}).count == 3
    assert loose({"m": bag}).bytes == 32 + 8 + 4
    assert loose({"t": transformer()}).bytes == 2 * 4096 * 8 * 8


def test_what_cannot_be_owned_is_refused_all_at_once_with_the_remedy() -> None:
    bag = Bag(
        dense=torch.ones(2),
        nowhere=torch.ones(2, device="meta"),
        sparse=torch.eye(3).to_sparse(),
    )
    with pytest.raises(BackendError) as caught:
        leaves({"m": bag})
    assert caught.value.problems == (
        "m.nowhere is on meta, not in host memory",
        "m.sparse is not a plain dense tensor",
    )
    assert "remove_all_hooks" in caught.value.hint


def test_a_model_that_has_not_seen_its_first_input_is_refused() -> None:
    with pytest.raises(BackendError, match="has no shape yet"):
        leaves({"m": torch.nn.LazyLinear(3)})


def test_a_bitsandbytes_weight_is_refused_by_name() -> None:
    Foreign = type("Int8Params", (torch.nn.Parameter,), {"__module__": "bitsandbytes.nn.modules"})
    bag = Bag()
    bag.register_parameter("w", Foreign(torch.ones(2)))
    with pytest.raises(BackendError, match=r"m\.w is quantized by bitsandbytes"):
        leaves({"m": bag})


def test_a_model_that_accelerate_moves_is_refused() -> None:
    from accelerate.hooks import AlignDevicesHook, CpuOffload, SequentialHook, add_hook_to_module

    for hook in (
        CpuOffload("cpu"),
        AlignDevicesHook(execution_device="cpu", offload=True, weights_map={}),
        SequentialHook(AlignDevicesHook(execution_device="cpu"), CpuOffload("cpu")),
    ):
        model = torch.nn.Sequential(torch.nn.Linear(2, 2))
        model[0]._hf_hook = hook
        with pytest.raises(BackendError, match=r"m\.0 is moved by accelerate"):
            leaves({"m": model})
    harmless = add_hook_to_module(torch.nn.Linear(2, 2), AlignDevicesHook(execution_device="cpu"))
    assert len(leaves({"m": harmless})) == 2


def test_a_model_that_diffusers_moves_or_casts_is_refused() -> None:
    model = transformer()
    model.enable_layerwise_casting(storage_dtype=torch.bfloat16, compute_dtype=torch.float32)
    with pytest.raises(BackendError, match=r"is moved by diffusers \(layerwise_casting\)"):
        leaves({"t": model})


@pytest.mark.parametrize("level", ["leaf_level", "block_level"])
def test_a_model_that_diffusers_moves_group_by_group_is_refused(level: str) -> None:
    model = transformer()
    blocks = {"num_blocks_per_group": 1} if level == "block_level" else {}
    model.enable_group_offload(torch.device("cpu"), offload_type=level, **blocks)
    with pytest.raises(BackendError, match=r"is moved by diffusers \(group_offloading\)") as caught:
        leaves({"t": model})
    assert "remove_all_hooks" in caught.value.hint


def test_a_weight_that_is_spread_over_processes_is_refused() -> None:
    from torch import distributed
    from torch.distributed.tensor import DTensor, init_device_mesh

    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        bag = Bag(w=DTensor.from_local(torch.ones(4), init_device_mesh("cpu", (1,))))
        with pytest.raises(BackendError, match=r"m\.w is distributed over several devices"):
            leaves({"m": bag})
    finally:
        distributed.destroy_process_group()


def test_a_model_on_several_devices_is_refused() -> None:
    model = torch.nn.Linear(2, 2)
    model.hf_device_map = {"a": "cpu", "b": "disk"}
    with pytest.raises(BackendError, match="spread over several devices"):
        leaves({"m": model})


class Wrapped(torch.Tensor):
    """A quantized weight as torchao makes them: a shell around integers and their scales."""

    @staticmethod
    def __new__(cls, inner: Any, scale: Any) -> Wrapped:
        shell: Wrapped = torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=scale.dtype)
        return shell

    def __init__(self, inner: Any, scale: Any) -> None:
        self.inner = inner
        self.scale = scale

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["inner", "scale"], None

    @classmethod
    def __tensor_unflatten__(cls, inner: Any, *_: Any) -> Wrapped:
        return cls(inner["inner"], inner["scale"])

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.detach.default:
            return cls(args[0].inner, args[0].scale)
        plain = [a.inner * a.scale if isinstance(a, Wrapped) else a for a in args]
        return func(*plain, **(kwargs or {}))
