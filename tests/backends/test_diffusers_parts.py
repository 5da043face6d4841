"""An edit made in parts is the whole pipeline's edit, to the last bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from editbench.backends import diffusers_parts as apart
from editbench.backends.diffusers_editor import DiffusersEditor, DiffusersSettings
from editbench.engine.protocols import EditRequest
from editbench.errors import Stopped

from .pictures import go_on, noise, request

FINE, COARSE = ("prompts", "sources", "denoise"), ("encode", "denoise")  #: and then decode
QWEN, PLUS, KONTEXT = "tiny/qwen-image-edit", "tiny/qwen-image-edit-plus", "tiny/flux-kontext"


def loaded(model: str, **args: Any) -> DiffusersEditor:
    made = DiffusersEditor(DiffusersSettings(model=model, args=args))
    made.load()
    return made


def in_parts(editor: DiffusersEditor, asked: EditRequest, parts: Sequence[str] = FINE) -> Any:
    state = b""
    for part in parts:
        state = editor.run_part(part, asked, state, stop=go_on)
    return editor.finish_parts(asked, state, stop=go_on)


CASES = {
    "qwen": (QWEN, {}, request(1)),
    "qwen, tall": (QWEN, {}, request(2, size=(64, 160), text="把天空换成夜晚")),
    "qwen, other size": (QWEN, {"size": [192, 128]}, request(3)),
    "qwen, no guidance": (QWEN, {"true_cfg_scale": 1.0}, request(4)),
    "qwen, negative": (QWEN, {"negative_prompt": "blurry"}, request(5)),
    "plus": (PLUS, {}, request(6)),
    "plus, references": (PLUS, {}, request(7, images=3)),
    "plus, sizes": (
        PLUS,
        {"true_cfg_scale": 1.0},
        EditRequest("mixed", (noise(1, 96, 64), noise(2, 64, 128)), "swap them", 8),
    ),
    "kontext": (KONTEXT, {}, request(9)),
    "kontext, guidance": (KONTEXT, {"true_cfg_scale": 2.0, "size": [128, 128]}, request(10)),
}


@pytest.mark.parametrize(
    ("case", "parts"),
    [*((case, FINE) for case in CASES), ("qwen", COARSE), ("plus", COARSE), ("kontext", COARSE)],
)
def test_an_edit_in_parts_equals_the_whole_pipelines(
    built: Path, case: str, parts: Sequence[str]
) -> None:
    model, args, asked = CASES[case]
    editor = loaded(model, **args)
    whole = editor.edit([asked], stop=go_on)[0]
    made = in_parts(editor, asked, parts)
    assert made.size == whole.size and made.tobytes() == whole.tobytes()


def test_parts_may_be_hours_and_a_process_apart(built: Path) -> None:
    asked = [request(1), request(2, size=(64, 96))]
    first = loaded(QWEN)
    encoded = [first.run_part("encode", each, b"", stop=go_on) for each in asked]
    second = loaded(QWEN)
    denoised = [
        second.run_part("denoise", each, state, stop=go_on)
        for each, state in zip(asked, encoded, strict=True)
    ]
    third = loaded(QWEN)
    for each, state in reversed([*zip(asked, denoised, strict=True)]):
        made = third.finish_parts(each, state, stop=go_on)
        assert made.tobytes() == first.edit([each], stop=go_on)[0].tobytes()


@pytest.mark.parametrize("model", [QWEN, PLUS, KONTEXT])
def test_each_part_runs_no_module_but_its_own(built: Path, model: str) -> None:
    editor = loaded(model)
    asked, state = request(1), b""
    used: set[str] = set()
    for name, module in editor.modules().items():
        for inner in module.modules():
            inner.register_forward_pre_hook(lambda *_, name=name: used.add(name))
    for part in editor.parts:
        used.clear()
        if part.name == "decode":
            editor.finish_parts(asked, state, stop=go_on)
        else:
            state = editor.run_part(part.name, asked, state, stop=go_on)
        assert used == set(part.modules)
    assert [part.name for part in editor.parts] == [*FINE, "decode"]
    names = {name for part in editor.parts for name in part.modules}
    assert names == set(editor.modules())


def test_prompts_and_sources_are_encoded_at_once_unless_that_takes_a_larger_device() -> None:
    real = {"text_encoder": 16_584, "transformer": 40_861, "vae": 254}  # Qwen-Image-Edit, MB
    assert apart.parts_of(real) == {
        "encode": {"text_encoder": 16_584, "vae": 254},
        "denoise": {"transformer": 40_861},
        "decode": {"vae": 254},
    }
    quantized = real | {"transformer": 16_700}
    assert apart.parts_of(quantized) == {
        "prompts": {"text_encoder": 16_584},
        "sources": {"vae": 254},
        "denoise": {"transformer": 16_700},
        "decode": {"vae": 254},
    }


def test_the_parts_modules_have_their_true_bytes(built: Path) -> None:
    editor = loaded(QWEN)
    for part in editor.parts:
        for name, size in part.modules.items():
            weights = editor.modules()[name].parameters()
            assert size == sum(weight.numel() * weight.element_size() for weight in weights)
    largest = max(sum(part.modules.values()) for part in editor.parts)
    assert largest < editor.footprint


def test_a_pipeline_that_was_not_shown_to_come_apart_has_no_parts(built: Path) -> None:
    assert DiffusersEditor(DiffusersSettings(model="tiny/instruct-pix2pix")).parts == ()


def stops(polls: int) -> Iterator[bool]:
    yield from [False] * polls
    while True:
        yield True


def test_a_stopped_part_leaves_nothing_behind(built: Path) -> None:
    editor = loaded(QWEN)
    asked = request(1)
    whole = editor.edit([asked], stop=go_on)[0]
    encoded = editor.run_part("encode", asked, b"", stop=go_on)
    denoised = editor.run_part("denoise", asked, encoded, stop=go_on)
    for polls, part, state in (
        (0, "encode", b""),
        (0, "denoise", encoded),
        (1, "denoise", encoded),
    ):
        with pytest.raises(Stopped):
            editor.run_part(part, asked, state, stop=stops(polls).__next__)
    with pytest.raises(Stopped):
        editor.finish_parts(asked, denoised, stop=stops(0).__next__)
    assert in_parts(editor, asked).tobytes() == whole.tobytes()


def test_an_error_in_a_part_leaves_the_pipeline_as_it_was(built: Path) -> None:
    editor = loaded(QWEN)
    asked = request(1)
    encoded = editor.run_part("encode", asked, b"", stop=go_on)

    def fail(*_: Any) -> None:
        raise RuntimeError("struck")

    hook = editor.modules()["transformer"].register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="struck"):
        editor.run_part("denoise", asked, encoded, stop=go_on)
    hook.remove()
    assert in_parts(editor, asked).tobytes() == editor.edit([asked], stop=go_on)[0].tobytes()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64])
def test_a_state_keeps_every_bit_and_comes_back_aligned(built: Path, dtype: torch.dtype) -> None:
    editor = loaded(KONTEXT)
    odd = torch.arange(7).to(torch.uint8)  # pushes what follows off every alignment
    given = (torch.arange(30, dtype=dtype).view(5, 6).T, None, 3, [odd])
    answers = {"encode_prompt": [given], "prepare_latents": []}
    back = apart.unpack(apart.pack(answers), editor._pipeline)
    (found,) = back["encode_prompt"]
    assert torch.equal(found[0], given[0]) and found[0].dtype == dtype
    assert found[1:3] == [None, 3] and torch.equal(found[3][0], odd)
    assert found[0].data_ptr() % 64 == 0 and back["prepare_latents"] == []
