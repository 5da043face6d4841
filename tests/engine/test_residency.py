from __future__ import annotations

import ast
import gc
import re
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from editbench.engine import devices
from editbench.engine.devices import CpuDevice
from editbench.engine.residency import Move, ResidencyManager
from editbench.engine.simulated import Faults, SimDevice
from editbench.errors import (
    BackendError,
    DoesNotFit,
    EditbenchError,
    MachineError,
    NotResident,
    OutOfMemory,
    Stopped,
)
from tests.engine.networks import denoise, judge, score, transformer
from tests.engine.stage import EDITOR, JUDGE, ROLES, SIZES, TIGHT, Stage, expected

PACKAGE = Path(__file__).parents[2] / "editbench"


@pytest.fixture(params=["pretend", "simulated"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    kind = CpuDevice if request.param == "pretend" else SimDevice
    stage = Stage(kind(TIGHT), verify="always")
    yield stage
    stage.manager.close()


def test_ten_cycles_give_the_same_outputs_and_move_only_the_overlap(stage: Stage) -> None:
    manager = stage.manager
    first = [manager.acquire(name) for name in SIZES]
    homes = {"judge": stage.addresses("judge")}
    outputs = [stage.run("judge")]
    placement = manager.plan(SIZES)
    overlap = placement.overlap("editor", "judge")
    assert 0 < overlap == EDITOR + JUDGE - placement.capacity < min(SIZES.values())
    assert [move.bytes for move in first] == [EDITOR, JUDGE]
    for _ in range(10):
        for name in ("editor", "judge"):
            move = manager.acquire(name)
            assert move.bytes == overlap
            assert stage.addresses(name) == homes.setdefault(name, stage.addresses(name))
            output = stage.run(name)
            assert torch.equal(output, expected(name))
            assert manager.resident == (name,)
            outputs.append(output)
    assert len(manager.moves) == 22
    assert stage.device.copied_in == EDITOR + JUDGE + 20 * overlap + _fixed(stage)
    assert manager.moved_back == 0
    assert manager.used <= TIGHT


def _fixed(stage: Stage) -> int:
    return sum(stage.manager.bytes(name) for name in SIZES) - EDITOR - JUDGE


def test_a_model_off_the_device_is_loud(stage: Stage) -> None:
    for name, model in stage.models.items():
        with pytest.raises(NotResident, match=f"of {name} was called while it is not on"):
            ROLES[name].run(model)
        with pytest.raises(NotResident), stage.manager.lease(name):
            raise AssertionError("a lease was given")
        assert all(p.isnan().all() for p in model.parameters())
        model._forward_pre_hooks.clear()
        for child in model.children():
            child._forward_pre_hooks.clear()
        assert ROLES[name].run(model).isnan().all()


def test_a_method_that_goes_round_forward_is_stopped_at_the_first_child() -> None:
    class Coder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = torch.nn.Linear(4, 4)

        def encode(self, x: torch.Tensor) -> torch.Tensor:
            encoded: torch.Tensor = self.encoder(x)
            return encoded

    coder = Coder()
    ResidencyManager(CpuDevice(10_000)).adopt("vae", {"vae": coder})
    with pytest.raises(NotResident, match="Linear of vae"):
        coder.encode(torch.ones(4))


def test_where_both_fit_nothing_moves_after_the_first_load() -> None:
    stage = Stage(CpuDevice(EDITOR + JUDGE + 10_000))
    moved = [stage.manager.acquire(name).bytes for name in ("editor", "judge", "editor", "judge")]
    assert moved == [EDITOR, JUDGE, 0, 0]
    assert stage.manager.resident == ("editor", "judge")
    assert [move.old for move in stage.manager.moves] == ["", ""]
    assert stage.intact()


def test_a_device_that_is_lent_holds_nothing_else_until_it_is_taken_back(stage: Stage) -> None:
    manager = stage.manager
    manager.acquire("editor")
    with manager.lease("editor"), pytest.raises(RuntimeError, match="lend the device while editor"):
        manager.lend(1000)
    manager.lend(1000)
    fixed = _fixed(stage)
    assert (manager.resident, manager.used) == ((), 1000 + fixed)
    with pytest.raises(RuntimeError, match="cannot load judge while the device is lent"):
        manager.acquire("judge")
    manager.take_back()
    assert manager.used == fixed
    for name in SIZES:
        assert manager.acquire(name).bytes == SIZES[name]
        assert torch.equal(stage.run(name), expected(name))


def test_on_the_hosts_own_memory_weights_are_placed_once_and_never_move() -> None:
    stage = Stage(CpuDevice())
    homes = {name: stage.addresses(name) for name in ROLES}
    assert stage.manager.resident == ("editor", "judge")
    assert all(address % 512 == 0 for addresses in homes.values() for address in addresses)
    assert stage.intact()
    assert {name: stage.addresses(name) for name in ROLES} == homes
    assert stage.device.copied_in == stage.manager.host_used == 0
    assert stage.manager.loose("editor").count == 2
    assert stage.manager.moves == []
    stage.manager.evict("judge")
    assert stage.manager.resident == ("editor", "judge")


def test_the_second_model_may_be_adopted_after_the_first_has_run() -> None:
    for planned in (SIZES, {"editor": EDITOR - 5000, "judge": 1}, {"editor": EDITOR}):
        manager = ResidencyManager(SimDevice(TIGHT))
        manager.plan(planned)
        editor, late = transformer(), judge()
        manager.adopt("editor", {"transformer": editor})
        assert manager.acquire("editor").old == ""
        assert torch.equal(denoise(editor), expected("editor"))
        manager.adopt("judge", {"judge": late})
        assert manager.resident == ("editor",)
        assert manager.missing("judge") == JUDGE
        move = manager.acquire("judge")
        assert (move.old, move.new, move.bytes) == ("editor", "judge", JUDGE)
        assert torch.equal(score(late), expected("judge"))
        manager.acquire("editor")
        assert torch.equal(denoise(editor), expected("editor"))


def test_a_size_that_was_planned_right_costs_no_reload() -> None:
    manager = ResidencyManager(SimDevice(TIGHT))
    manager.plan({"editor": EDITOR - 4000, "judge": JUDGE - 4000})
    manager.adopt("editor", {"m": (editor := transformer())})
    manager.acquire("editor")
    home = [p.data_ptr() for p in editor.parameters()]
    manager.adopt("judge", {"m": judge()})
    manager.acquire("judge")
    assert manager.acquire("editor").bytes < EDITOR
    assert [p.data_ptr() for p in editor.parameters()] == home


def test_a_model_larger_than_planned_is_placed_anew_where_there_is_room() -> None:
    manager = ResidencyManager(SimDevice(EDITOR + JUDGE + 20_000))
    manager.plan({"editor": EDITOR, "judge": JUDGE // 2})
    manager.adopt("editor", {"m": (editor := transformer())})
    manager.acquire("editor")
    manager.adopt("judge", {"m": judge()})
    assert manager.acquire("judge").bytes == JUDGE
    assert manager.acquire("editor").bytes == EDITOR
    assert manager.resident == ("editor", "judge")
    assert torch.equal(denoise(editor), expected("editor"))


def test_what_the_models_need_beside_their_weights_stays_free() -> None:
    device = CpuDevice(TIGHT)
    manager = ResidencyManager(device)
    manager.plan(SIZES, reserve=50_000)
    for name, role in ROLES.items():
        manager.adopt(name, {"m": role.build()})
        manager.acquire(name)
    assert device.free() >= 50_000


def test_a_model_that_can_never_fit_is_refused_before_it_is_loaded() -> None:
    manager = ResidencyManager(CpuDevice(EDITOR))
    with pytest.raises(DoesNotFit, match="judge needs"):
        manager.plan(SIZES)
    manager.adopt("judge", {"m": judge()})
    with pytest.raises(DoesNotFit, match="judge needs"):
        manager.missing("judge")
    with pytest.raises(DoesNotFit, match="judge needs"):
        manager.acquire("judge")


def test_a_model_without_weights_is_always_there_and_costs_nothing(stage: Stage) -> None:
    before = stage.manager.used
    stage.manager.acquire("editor")
    assert stage.manager.adopt("remote", {}) == 0
    move = stage.manager.acquire("remote")
    assert (move.old, move.bytes) == ("", 0)
    with stage.manager.lease("remote"):
        assert set(stage.manager.resident) == {"editor", "remote"}
    assert stage.manager.acquire("editor").bytes == 0
    assert stage.manager.used >= before


def test_only_the_model_that_really_left_counts_as_old(stage: Stage) -> None:
    manager = stage.manager
    assert manager.acquire("editor").old == ""
    assert manager.acquire("judge").old == "editor"
    manager.evict("judge")
    assert manager.acquire("judge").old == ""
    manager.forget("judge")
    assert manager.acquire("editor").old == "judge"


def test_what_steps_take_beside_the_weights_is_measured() -> None:
    device = SimDevice(TIGHT)
    stage = Stage(device)
    stage.manager.acquire("judge")
    for device.step_bytes in (300, 900, 500):
        stage.run("judge")
    assert stage.manager.working == {"judge": 900}


def test_a_leased_model_stays(stage: Stage) -> None:
    manager = stage.manager
    manager.acquire("editor")
    with manager.lease("editor"), manager.lease("editor"):
        pass
    with manager.lease("editor"):
        assert manager.acquire("editor").bytes == 0
        for attempt in (manager.evict, manager.forget):
            with pytest.raises(RuntimeError, match="while editor is leased"):
                attempt("editor")
        with pytest.raises(RuntimeError, match="cannot load judge while editor is leased"):
            manager.acquire("judge")
        assert torch.equal(denoise(stage.models["editor"]), expected("editor"))
    with pytest.raises(KeyError), manager.lease("editor"):
        raise KeyError("a step that fails gives its lease back")
    assert manager.acquire("judge").old == "editor"


def test_names_are_checked(stage: Stage) -> None:
    with pytest.raises(ValueError, match="'editor' is adopted already"):
        stage.manager.adopt("editor", {})
    with pytest.raises(ValueError, match="'scribe' is not adopted; editor, judge is"):
        stage.manager.acquire("scribe")


def test_buffers_stay_on_the_device_and_keep_what_a_model_writes_into_them() -> None:
    manager = ResidencyManager(SimDevice(40_000))
    norm = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.BatchNorm1d(64)).train()
    manager.adopt("norm", {"m": norm})
    manager.adopt("other", {"m": torch.nn.Linear(90, 90)})
    manager.acquire("norm")
    norm(torch.randn(5, 8))
    kept = norm[1].running_mean.clone()
    home = norm[1].running_mean.data_ptr()
    manager.acquire("other")
    assert not kept.isnan().any()
    assert torch.equal(norm[1].running_mean, kept)
    manager.acquire("norm")
    assert norm[1].running_mean.data_ptr() == home
    assert norm[1].num_batches_tracked == 1


def test_forgetting_frees_the_master_and_leaves_a_model_that_says_so(stage: Stage) -> None:
    manager = stage.manager
    manager.acquire("editor")
    master = weakref.ref(manager._models["editor"].master.memory)
    held = manager.host_used
    manager.forget("editor")
    gc.collect()
    assert master() is None
    assert manager.host_used == held - EDITOR
    with pytest.raises(NotResident):
        denoise(stage.models["editor"])
    manager.adopt("editor", {"m": (again := transformer())})
    manager.acquire("editor")
    assert torch.equal(denoise(again), expected("editor"))


def test_closing_gives_all_memory_back() -> None:
    device = SimDevice(TIGHT)
    stage = Stage(device)
    stage.manager.acquire("judge")
    assert device.free() < TIGHT - JUDGE
    stage.manager.close()
    assert device.free() == TIGHT
    assert (stage.manager.used, stage.manager.host_used, stage.manager.resident) == (0, 0, ())


def test_a_rejected_model_is_left_as_it_was() -> None:
    manager = ResidencyManager(SimDevice(TIGHT))
    model = transformer()
    model.enable_layerwise_casting(storage_dtype=torch.bfloat16, compute_dtype=torch.float32)
    homes = [p.data_ptr() for p in model.parameters()]
    with pytest.raises(BackendError, match="layerwise_casting"):
        manager.adopt("editor", {"m": model})
    assert [p.data_ptr() for p in model.parameters()] == homes
    assert manager.resident == ()


def replace(model: Any) -> None:
    model.proj_out.weight = torch.nn.Parameter(torch.ones_like(model.proj_out.weight))


def cast(model: Any) -> None:
    model.proj_out.to(torch.bfloat16)


def add_adapter(model: Any) -> None:
    model.proj_out.register_parameter("lora", torch.nn.Parameter(torch.ones(2)))


def change(model: Any) -> None:
    with torch.no_grad():
        model.proj_out.weight.mul_(2)


@pytest.mark.parametrize(
    ("meddle", "message"),
    [
        (replace, "proj_out.weight was added or replaced"),
        (cast, "proj_out.weight was moved"),
        (add_adapter, "proj_out.lora was added or replaced"),
        (change, "proj_out.weight was changed in place"),
    ],
)
def test_whoever_touches_weights_is_found_and_the_tensor_named(
    stage: Stage, meddle: Callable[[Any], None], message: str
) -> None:
    stage.manager.acquire("editor")
    meddle(stage.models["editor"])
    for attempt in (
        lambda: stage.manager.acquire("judge"),
        lambda: stage.manager.acquire("editor"),
        lambda: stage.manager.evict("editor"),
    ):
        with pytest.raises(BackendError, match=f"editor: model.{message}"):
            attempt()
    stage.manager.forget("editor")
    stage.manager.acquire("judge")
    assert torch.equal(stage.run("judge"), expected("judge"))


def test_time_is_measured_with_the_clock_that_was_given() -> None:
    device = SimDevice(TIGHT, bytes_per_second=EDITOR / 4)
    stage = Stage(device, clock=device.clock)
    move = stage.manager.acquire("editor")
    assert move == Move("", "editor", EDITOR, pytest.approx(4.0))


def test_masters_that_cannot_be_pinned_are_counted_and_work() -> None:
    stage = Stage(SimDevice(TIGHT, faults=Faults(registration=1)))
    assert stage.manager.pageable == EDITOR
    assert stage.device.pinned == JUDGE
    assert stage.intact()
    assert Stage(SimDevice(TIGHT)).manager.pageable == 0


@pytest.mark.parametrize(
    ("faults", "error"), [(Faults(allocation=1), OutOfMemory), (Faults(copy=1), MachineError)]
)
def test_buffers_that_do_not_arrive_leave_the_model_as_it_was(
    faults: Faults, error: type[Exception]
) -> None:
    device = SimDevice(TIGHT, faults=faults)
    manager = ResidencyManager(device)
    model = judge()
    homes = [p.data_ptr() for p in model.parameters()]
    with pytest.raises(error):
        manager.adopt("judge", {"m": model})
    assert [p.data_ptr() for p in model.parameters()] == homes
    assert device.free() == TIGHT
    manager.adopt("judge", {"m": model})
    manager.acquire("judge")
    assert torch.equal(score(model), expected("judge"))


def test_no_memory_for_the_region_can_be_tried_again() -> None:
    device = SimDevice(TIGHT)
    stage = Stage(device)
    device.faults = Faults(allocation=device.counts["allocation"] + 1)
    with pytest.raises(OutOfMemory):
        stage.manager.acquire("editor")
    assert stage.manager.resident == ()
    assert stage.intact()
    stage.manager.close()
    assert device.free() == TIGHT


def test_a_shrunk_region_leaves_more_to_the_steps_and_changes_no_output() -> None:
    stage = Stage(CpuDevice(TIGHT + 50_000))
    stage.manager.acquire("judge")
    before = stage.device.free()
    assert stage.manager.shrink()
    assert stage.manager.resident == ()
    assert stage.intact()
    assert stage.device.free() >= before + 50_000
    assert not stage.manager.shrink()


def test_a_leased_model_is_not_shrunk_away() -> None:
    stage = Stage(CpuDevice(TIGHT + 50_000))
    stage.manager.acquire("judge")
    with stage.manager.lease("judge"), pytest.raises(RuntimeError):
        stage.manager.shrink()
    assert stage.manager.resident == ("judge",)


def test_buffers_of_a_later_model_take_their_room_from_the_region() -> None:
    model = torch.nn.Module()
    model.register_buffer("table", torch.ones(20_000))
    stage = Stage(device := SimDevice(TIGHT))
    stage.manager.acquire("editor")
    assert device.free() < 80_000
    stage.manager.adopt("tables", {"m": model})
    assert stage.manager.resident == ("tables",)
    assert stage.intact()
    assert model.table.sum() == 20_000


@settings(max_examples=30)
@given(copy=st.integers(1, 22), damage=st.integers(0, 22), stop=st.integers(1, 30))
def test_whatever_fails_in_a_swap_is_said_and_the_next_attempt_works(
    copy: int, damage: int, stop: int
) -> None:
    asked = iter(range(1, 10_000))
    device = SimDevice(TIGHT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "CHUNK", 100_000)
        stage = Stage(device, verify="always")
        device.faults = Faults(
            copy=device.counts["copy"] + copy, damage=damage and device.counts["copy"] + damage
        )
        failures = 0
        for name in ("editor", "judge", "editor"):
            while name not in stage.manager.resident:
                try:
                    stage.manager.acquire(name, stop=lambda: next(asked) == stop)
                except (MachineError, Stopped):
                    failures += 1
                    assert name not in stage.manager.resident
            assert torch.equal(stage.run(name), expected(name))
        assert failures <= 3
        assert stage.manager.moved_back == 0
        stage.manager.close()
    assert device.free() == TIGHT


def test_a_damaged_copy_is_found_and_names_the_weights() -> None:
    device = SimDevice(TIGHT)
    stage = Stage(device)
    device.faults = Faults(damage=device.counts["copy"] + 1)
    with pytest.raises(MachineError, match=r"editor arrived damaged on sim, in 1 of 1 pieces"):
        stage.manager.acquire("editor")
    assert stage.manager.resident == ()
    assert stage.intact()


def test_a_device_failure_is_our_error_with_its_cause() -> None:
    device = SimDevice(TIGHT)
    stage = Stage(device)
    device.faults = Faults(copy=device.counts["copy"] + 1)
    with pytest.raises(MachineError, match="sim failed while loading judge") as caught:
        stage.manager.acquire("judge")
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert isinstance(caught.value, EditbenchError)


def calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node


STREAMING = "backends/streaming.py"  #: models larger than the device, which nobody can own
MODULE = re.compile(r"(^|[._])(pipe|pipeline|model|module|transformer|unet|vae|encoder)s?$")
MOVERS = re.compile(
    r"cuda|cpu|to_empty|enable_(model|sequential|group)_.*offload.*|dispatch_model|"
    r"(cpu|disk)_offload.*|maybe_free_model_hooks|apply_group_offloading"
)


def is_device(call: ast.Call) -> bool:
    given = [ast.unparse(part) for part in (*call.args, *(word.value for word in call.keywords))]
    return not given or any("dtype" not in text and "float" not in text for text in given)


def test_nobody_else_moves_models_or_empties_the_cache() -> None:
    found: dict[str, set[str]] = {"empty_cache": set(), "moves": set()}
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        if name == STREAMING:
            assert "empty_cache" not in path.read_text(encoding="utf-8")
            continue
        for call in calls(path):
            assert isinstance(call.func, ast.Attribute)
            verb, owner = call.func.attr, ast.unparse(call.func.value)
            if verb == "empty_cache":
                found["empty_cache"].add(name)
            if MOVERS.fullmatch(verb) or (
                verb == "to" and MODULE.search(owner) and is_device(call)
            ):
                found["moves"].add(f"{name}:{call.lineno} {owner}.{verb}")
    assert found["empty_cache"] == {"engine/cuda.py", "engine/residency.py"}
    assert found["moves"] == set()
