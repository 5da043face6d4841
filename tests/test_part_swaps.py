"""An editor in parts on a simulated device that holds its largest component, to the byte."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from editbench.backends.diffusers_editor import DiffusersEditor, DiffusersSettings
from editbench.engine.arena import lay_out
from editbench.engine.leaves import leaves
from editbench.engine.phases import module, turns
from editbench.engine.placement import largest
from editbench.engine.residency import ResidencyManager
from editbench.engine.simulated import SimDevice
from editbench.errors import NotResident
from tests.backends.aligned import place
from tests.backends.pictures import go_on, request


def loaded(model: str) -> DiffusersEditor:
    made = DiffusersEditor(DiffusersSettings(model=model))
    made.load()
    return made


@pytest.mark.parametrize(
    ("model", "keep", "batches"),
    [
        ("tiny/qwen-image-edit", True, 1),
        ("tiny/qwen-image-edit-plus", True, 1),
        ("tiny/flux-kontext", True, 3),
        ("tiny/flux-kontext", False, 3),
    ],
)
def test_each_component_goes_once_to_a_device_for_the_largest(
    shared_home: Path, model: str, keep: bool, batches: int
) -> None:
    asked = [request(1), request(2, size=(64, 96))]
    editor = loaded(model)
    place(editor.modules())  # as the last bits depend on how weights are aligned
    whole = [editor.edit([each], stop=go_on)[0].tobytes() for each in asked]
    modules = {module(name): {name: part} for name, part in editor.modules().items()}
    groups = {name: leaves(members) for name, members in modules.items()}
    sizes = {name: lay_out(g for g in found if not g.fixed).bytes for name, found in groups.items()}
    buffers = sum(lay_out(g for g in found if g.fixed).bytes for found in groups.values())
    taking_turns = turns(editor.parts, capacity=10**9 if keep else 0)
    assert [turn.part for turn in taking_turns] == ["prompts", "sources", "denoise", "decode"]
    assert (module("vae") in taking_turns[2].models) == keep

    together = [turn.models for turn in taking_turns]
    # Kontext's largest is its transformer, and the VAE is needed before and after it: either there
    # is room for both, or the VAE goes there twice.
    beside = sizes[module("vae")] if keep and model == "tiny/flux-kontext" else 0
    assert largest(sizes, together) == max(sizes.values()) + beside
    device = SimDevice(max(sizes.values()) + beside + buffers)
    manager = ResidencyManager(device, verify="always")
    manager.plan(sizes, together=together)
    for name, members in modules.items():
        manager.adopt(name, members)
    for batch in range(batches):
        loads: Counter[str] = Counter()
        states = [b""] * len(asked)
        edits: list[bytes] = []
        for turn in taking_turns:
            loads.update(name for name in turn.models if manager.acquire(name).bytes)
            assert set(turn.models) <= set(manager.resident)
            with manager.lease(*turn.models):
                for number, each in enumerate(asked):
                    if turn.part == "decode":
                        edit = editor.finish_parts(each, states[number], stop=go_on)
                        edits.append(edit.tobytes())
                    else:
                        state = states[number]
                        states[number] = editor.run_part(turn.part, each, state, stop=go_on)
        assert edits == whole
        if not batch:
            once = dict.fromkeys(modules, 1)
            assert loads == once if keep else loads == once | {module("vae"): 2}
        assert max(loads.values()) <= (1 if keep else 2)
    assert manager.used <= device.limit and manager.moved_back == 0
    with pytest.raises(NotResident):
        editor.edit(asked[:1], stop=go_on)
    manager.close()
