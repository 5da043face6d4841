"""Two real models take turns on a device that holds one of them and a bit of the other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from editbench.backends import registry, tiny
from editbench.engine.keys import pixel_hash
from editbench.engine.protocols import Editor, EditRequest, Judge, Question
from editbench.engine.residency import ResidencyManager
from editbench.engine.simulated import SimDevice
from editbench.errors import NotResident
from editbench.suites.rubrics import load_rubric
from tests.backends.aligned import place

SOURCE = Image.linear_gradient("L").resize((96, 64)).convert("RGB")


class Stage:
    """The tiny Qwen-Image-Edit, whole, and the tiny Qwen3-VL, whose head is its embeddings."""

    def __init__(self) -> None:
        self.editor: Editor = registry.make(
            "editor", "diffusers", {"model": "tiny/qwen-image-edit"}
        )
        self.judge: Judge = registry.make("judge", "transformers", {"model": "tiny/qwen3-vl"})
        self.models = {"edit": self.editor, "score": self.judge}
        self.sizes = {role: model.footprint for role, model in self.models.items()}
        self.device = SimDevice(int(max(self.sizes.values()) * 1.2))
        self.manager = ResidencyManager(self.device, verify="always")
        self.manager.plan(self.sizes)
        for model in self.models.values():
            model.load()
            place(model.modules())  # as the last bits depend on how weights are aligned
        self.alone = {role: self.run(role) for role in self.models}  # before anything moved
        for role, model in self.models.items():
            self.manager.adopt(role, model.modules())

    def run(self, role: str) -> str:
        if role == "edit":
            request = EditRequest("a", (SOURCE,), "Make it brighter. 让它更亮。", 7)
            (edit,) = self.editor.edit([request], stop=lambda: False)
            return pixel_hash(edit)
        asked = load_rubric("default").prompt("physical", "Make it brighter.")
        images = (SOURCE, SOURCE.rotate(180))
        question = Question("a", images, asked.system, asked.user, asked.contract)
        (reply,) = self.judge.ask([question], stop=lambda: False)
        return reply.text

    def parameters(self, role: str) -> Iterator[torch.nn.Parameter]:
        for module in self.models[role].modules().values():
            yield from module.parameters()

    def addresses(self, role: str) -> list[int]:
        return [parameter.data_ptr() for parameter in self.parameters(role)]


def test_ten_cycles_of_two_whole_models_change_no_bit_and_move_only_the_overlap() -> None:
    stage = Stage()
    manager = stage.manager
    (judge,) = stage.judge.modules().values()
    assert judge.lm_head.weight is judge.model.language_model.embed_tokens.weight
    other = {"edit": "score", "score": "edit"}
    homes: dict[str, list[int]] = {}
    first: dict[str, int] = {}
    for turn in range(10):
        for role in stage.models:
            before = stage.device.copied_in
            move = manager.acquire(role)
            assert stage.device.copied_in - before == move.bytes
            first.setdefault(role, move.bytes)
            if turn:
                together = first["edit"] + first["score"]
                assert move == (other[role], role, together - region(manager), move.seconds, 0)
                assert 0 < move.bytes < min(first.values())
            with manager.lease(role):
                assert stage.run(role) == stage.alone[role]
            assert stage.addresses(role) == homes.setdefault(role, stage.addresses(role))
            assert all(
                p.isnan().all() for p in stage.parameters(other[role]) if p.is_floating_point()
            )
            with pytest.raises(NotResident, match=f"of {other[role]} was called"):
                stage.run(other[role])
    assert manager.moved_back == 0
    manager.close()
    assert stage.device.free() == stage.device.limit


def region(manager: ResidencyManager) -> int:
    return manager._region.bytes


PEAK = """
import json, sys
from pathlib import Path
from editbench.backends import registry
from editbench.engine.residency import ResidencyManager
from editbench.engine.simulated import SimDevice

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024

kind, use, small, large = sys.argv[1:]
registry.make(kind, use, {"model": small}).load()  # what the libraries take for themselves
model = registry.make(kind, use, {"model": large})
manager = ResidencyManager(SimDevice(2 * model.footprint))
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
model.load()
manager.adopt("m", model.modules())
weights = [p for module in model.modules().values() for p in module.parameters()]
largest = max(weight.numel() * weight.element_size() for weight in weights)
peak = status("VmHWM") - before
print(json.dumps({"bytes": model.footprint, "largest": largest, "peak": peak}))
"""


def large_judge(folder: Path) -> tuple[str, ...]:
    """A Qwen3-VL of 240 MB."""
    import transformers

    small = tiny.checkpoint("tiny/qwen3-vl")
    config = transformers.AutoConfig.from_pretrained(small)
    config.text_config.hidden_size = config.vision_config.out_hidden_size = 768
    config.text_config.intermediate_size, config.text_config.num_hidden_layers = 3072, 8
    return _with_weights(transformers.Qwen3VLForConditionalGeneration(config), small, folder)


def large_editor(folder: Path) -> tuple[str, ...]:
    """A Qwen-Image-Edit pipeline whose transformer has 240 MB."""
    from diffusers import QwenImageTransformer2DModel

    small = tiny.checkpoint("tiny/qwen-image-edit")
    config: dict[str, Any] = QwenImageTransformer2DModel.load_config(small / "transformer")
    heads = {"num_attention_heads": 48, "num_layers": 3}
    large = QwenImageTransformer2DModel.from_config({**config, **heads})
    return _with_weights(large, small, folder, "transformer")


def _with_weights(model: Any, small: Path, folder: Path, part: str = "") -> tuple[str, ...]:
    import shutil

    shutil.copytree(small, folder)
    for old in (folder / part).glob("*.safetensors"):
        old.unlink()
    model.save_pretrained(folder / part)
    return f"tiny/{small.name[:-2]}", str(folder)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("kind", "use", "build"),
    [("judge", "transformers", large_judge), ("editor", "diffusers", large_editor)],
)
def test_loading_and_adopting_take_little_more_host_memory_than_the_weights(
    tmp_path: Path, kind: str, use: str, build: Any
) -> None:
    models = build(tmp_path / "large")
    command = [sys.executable, "-c", PEAK, kind, use, *models]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["bytes"] > 200e6
    print(f"peak {found['peak'] / found['bytes']:.3f} of {found['bytes'] / 1e6:.0f} MB")
    assert found["peak"] <= 1.05 * found["bytes"] + found["largest"]
