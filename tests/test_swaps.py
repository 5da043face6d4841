"""Both tiny models answer the same to the bit after any number of swaps on a small device."""

from __future__ import annotations

from PIL import Image

from editbench.backends import registry
from editbench.engine.devices import open_device
from editbench.engine.keys import pixel_hash
from editbench.engine.protocols import EditRequest, Question
from editbench.engine.residency import ResidencyManager
from editbench.suites.rubrics import load_rubric


def test_three_swaps_change_no_bit_of_either_models_output() -> None:
    editor = registry.make("editor", "diffusers", {"model": "tiny/qwen-image-edit"})
    judge = registry.make("judge", "transformers", {"model": "tiny/qwen3-vl"})
    sizes = {"edit": editor.footprint, "score": judge.footprint}
    manager = ResidencyManager(open_device("cpu", budget=int(max(sizes.values()) * 1.4)))
    manager.plan(sizes)
    for role, model in (("edit", editor), ("score", judge)):
        model.load()
        manager.adopt(role, model.modules())

    source = Image.linear_gradient("L").resize((96, 64)).convert("RGB")
    request = EditRequest("a", (source,), "Make it brighter.", 7)
    prompt = load_rubric("default").prompt("physical", "Make it brighter.")
    edits, replies, seen = [], [], []
    for _ in range(3):
        seen.append(manager.acquire("edit").old)
        with manager.lease("edit"):
            (edit,) = editor.edit([request], stop=lambda: False)
        edits.append(pixel_hash(edit))
        seen.append(manager.acquire("score").old)
        with manager.lease("score"):
            images = (source, edit)
            question = Question("a", images, prompt.system, prompt.user, prompt.contract)
            replies += judge.ask([question], stop=lambda: False)

    assert seen == ["", "edit", "score", "edit", "score", "edit"]
    assert len(set(edits)) == 1 and len({reply.text for reply in replies}) == 1
    assert manager.moved_back == 0
    manager.close()
