from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from editbench.backends import tiny
from editbench.backends.diffusers_editor import DiffusersEditor, DiffusersSettings
from editbench.backends.outputs import InvalidEdit, to_images
from editbench.errors import BackendError, OutOfMemory, Stopped

from .aligned import place
from .pictures import go_on, request

QUICK = ("tiny/flux-kontext", "tiny/instruct-pix2pix")


def editor(
    model: str = "tiny/flux-kontext", *, load: bool = True, **settings: Any
) -> DiffusersEditor:
    made = DiffusersEditor(DiffusersSettings(model=model, **settings))
    if load:
        made.load()
    return made


def difference(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of a channel, of 255."""
    return int(np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max())


@pytest.mark.parametrize("model", tiny.EDITORS)
def test_an_edit_reacts_to_image_instruction_and_seed(built: Path, model: str) -> None:
    subject = editor(model)
    base = subject.edit([request(1)], stop=go_on)[0]
    (image,) = request(2).images
    first = request(1)
    for other in (
        type(first)("x", (image,), first.instruction, first.seed),
        type(first)("x", first.images, "remove the cat", first.seed),
        type(first)("x", first.images, first.instruction, 99),
    ):
        assert difference(base, subject.edit([other], stop=go_on)[0]) > 2


@pytest.mark.parametrize("model", [*QUICK, "tiny/qwen-image-edit"])
def test_a_batch_of_several_sizes_gives_the_edits_of_its_requests_in_order(
    built: Path, model: str
) -> None:
    subject = editor(model)
    requests = [request(1), request(2, size=(64, 96)), request(3, text="a longer text than that")]
    alone = [subject.edit([each], stop=go_on)[0] for each in requests]
    together = subject.edit(requests, stop=go_on)
    assert all(difference(one, other) <= 1 for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("model", [*QUICK, "tiny/qwen-image-edit"])
def test_edits_are_bit_identical_wherever_the_weights_lie(built: Path, model: str) -> None:
    subject = editor(model)
    rooms = [place(subject.modules())]
    before = subject.edit([request(1)], stop=go_on)[0]
    rooms.append(place(subject.modules()))
    rooms[0].fill_(255)
    assert subject.edit([request(1)], stop=go_on)[0].tobytes() == before.tobytes()


@pytest.mark.parametrize("model", QUICK)
def test_the_pixels_are_those_of_the_librarys_own_images(built: Path, model: str) -> None:
    subject = editor(model)
    keywords = subject._keywords([request(1)])
    theirs = subject._pipeline(**keywords, output_type="pil").images[0]
    keywords = subject._keywords([request(1)])
    ours = to_images(subject._pipeline(**keywords, output_type="np").images)[0]
    assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize(
    ("size", "expected"), [((97, 60), (128, 64)), ((1200, 900), (256, 192)), ((8, 8), (64, 64))]
)
def test_a_tiny_edit_is_near_the_size_of_its_source(
    kontext: DiffusersEditor, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert kontext.edit([request(size=size)], stop=go_on)[0].size == expected


def test_a_set_size_is_kept(built: Path) -> None:
    subject = editor(args={"size": [64, 192]})
    assert subject.edit([request()], stop=go_on)[0].size == (64, 192)


def test_references_reach_the_pipeline(built: Path) -> None:
    subject = editor("tiny/qwen-image-edit-plus")
    two = subject.edit([request(1, images=2)], stop=go_on)[0]
    one = subject.edit([request(1)], stop=go_on)[0]
    assert two.size == one.size and difference(one, two) > 2


def test_several_sources_are_refused_by_a_pipeline_that_would_take_them_for_a_batch(
    kontext: DiffusersEditor,
) -> None:
    with pytest.raises(BackendError, match="takes one source image, this pair has 2"):
        kontext.edit([request(images=2)], stop=go_on)


def test_more_requests_than_the_batch_allows_are_a_mistake(built: Path) -> None:
    subject = editor("tiny/qwen-image-edit-plus")
    assert subject.max_batch == 1
    with pytest.raises(ValueError, match="at most 1"):
        subject.edit([request(1), request(2)], stop=go_on)


def test_an_editor_that_is_not_loaded_says_so(built: Path) -> None:
    with pytest.raises(BackendError, match="not loaded"):
        editor(load=False).edit([request()], stop=go_on)


def stop_after(polls: int) -> Callable[[], bool]:
    left = iter([False] * polls)
    return lambda: next(left, True)


@pytest.mark.parametrize("polls", [0, 1, 2])
def test_a_stop_is_heard_before_and_after_every_step(kontext: DiffusersEditor, polls: int) -> None:
    before = kontext.edit([request()], stop=go_on)[0]
    with pytest.raises(Stopped):
        kontext.edit([request()], stop=stop_after(polls))
    assert kontext.edit([request()], stop=go_on)[0].tobytes() == before.tobytes()


def test_an_edit_of_what_are_not_numbers_is_invalid(built: Path) -> None:
    subject = editor()
    with torch.no_grad():
        next(subject.modules()["vae"].decoder.parameters()).fill_(float("nan"))
    with pytest.raises(InvalidEdit, match="not numbers"):
        subject.edit([request()], stop=go_on)


def test_a_picture_that_the_safety_checker_blackened_is_no_edit(built: Path) -> None:
    class Prude:
        def __call__(self, images: Any, clip_input: Any) -> tuple[Any, Sequence[bool]]:
            return images * 0, [True]

    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    subject = editor("tiny/instruct-pix2pix")
    subject._pipeline.safety_checker = Prude()
    subject._pipeline.feature_extractor = CLIPImageProcessorPil()
    with pytest.raises(InvalidEdit, match="safety checker"):
        subject.edit([request()], stop=go_on)


def test_a_full_device_is_our_error_with_the_cause_kept_and_no_tensor_held(built: Path) -> None:
    subject = editor()

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    hook = subject.modules()["vae"].decoder.register_forward_pre_hook(full)
    with pytest.raises(OutOfMemory, match="while editing") as caught:
        subject.edit([request()], stop=go_on)
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)
    frame = caught.value.__cause__.__traceback__
    held = []
    while frame is not None:
        held += [x for x in frame.tb_frame.f_locals.values() if isinstance(x, torch.Tensor)]
        frame = frame.tb_next
    assert held == []
    hook.remove()
    assert subject.edit([request()], stop=go_on)


def test_the_identity_says_what_determines_an_edit_and_nothing_else(built: Path) -> None:
    identity = editor(load=False, threads=2, args={"guidance_scale": 2.5}).identity
    assert identity["args"] == {
        "guidance_scale": 2.5,
        "true_cfg_scale": 1.0,
        "num_inference_steps": 2,
        "max_sequence_length": 512,
        "_auto_resize": False,
        "size": "source",
    }
    assert set(identity) == {"backend", "version", "model", "weights", "dtype", "args"}
    assert (identity["model"], identity["dtype"]) == ("tiny/flux-kontext", "fp32")
    assert str(built) not in json.dumps(identity)
    assert identity == editor(load=False, args={"guidance_scale": 2.5}).identity


def test_the_same_folder_elsewhere_is_the_same_model(built: Path, tmp_path: Path) -> None:
    import shutil

    folder = tiny.checkpoint("tiny/flux-kontext")
    shutil.copytree(folder, tmp_path / "copy")
    here = editor(str(folder), load=False).identity
    assert here == editor(str(tmp_path / "copy"), load=False).identity
    assert here["model"] == ""


def test_a_folder_is_loaded_like_a_real_model(built: Path) -> None:
    subject = editor(str(tiny.checkpoint("tiny/flux-kontext")), args={"num_inference_steps": 1})
    assert subject.identity["args"]["size"] == "auto"
    assert subject.working_bytes(64, 64) == subject.working_bytes(4096, 4096) > 2**30


def test_what_was_repaired_and_what_ran_is_recorded(built: Path) -> None:
    subject = editor("tiny/qwen-image-edit")
    record = subject.provenance()
    assert record["repairs"] == ["text_encoder: mm_token_type_ids (diffusers #14194)"]
    assert record["pipeline"] == "QwenImageEditPipeline"
    assert {"torch", "diffusers", "transformers"} <= set(record["versions"])
    assert editor().provenance()["repairs"] == []


def test_half_precision_runs(built: Path) -> None:
    subject = editor(dtype="bf16")
    assert {weight.dtype for weight in subject.modules()["transformer"].parameters()} == {
        torch.bfloat16
    }
    assert subject.edit([request()], stop=go_on)[0].mode == "RGB"
    assert subject.footprint == editor(load=False).footprint // 2


def test_a_tiny_model_uses_one_thread_whatever_was_set(built: Path) -> None:
    seen = []
    subject = editor(threads=2)
    subject.modules()["vae"].decoder.register_forward_pre_hook(
        lambda *_: seen.append(torch.get_num_threads())
    )
    torch.set_num_threads(2)
    subject.edit([request()], stop=go_on)
    assert seen == [1]


def test_args_that_do_not_suit_are_refused_before_anything_is_loaded(built: Path) -> None:
    with pytest.raises(BackendError) as caught:
        editor(load=False, args={"num_inference_step": 4, "size": 7}).check()
    assert len(caught.value.problems) == 2
    with pytest.raises(BackendError):
        _ = editor(load=False, args={"strength": 0.4}).identity


def test_a_pipeline_that_the_library_lacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "FuturePipeline"}')
    with pytest.raises(BackendError, match="FuturePipeline") as caught:
        editor(str(tmp_path))
    assert "upgrade diffusers" in caught.value.hint


def test_a_checkpoint_that_cannot_be_read_is_a_backend_error(built: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(tiny.checkpoint("tiny/flux-kontext"), copy)
    (copy / "transformer" / "config.json").write_text("{")
    with pytest.raises(BackendError, match="cannot load copy"):
        editor(str(copy))
