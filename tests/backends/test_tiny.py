from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from editbench.backends import checkpoints, processors, tiny
from editbench.errors import BackendError

PREFIX = (
    "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, "
    "texture, objects, background), then explain how the user's text instruction should alter or "
    "modify the image. Generate a new image that meets the user's requirements while maintaining "
    "consistency with the original input where appropriate.<|im_end|>\n<|im_start|>user\n"
)


@pytest.mark.parametrize("name", tiny.NAMES)
def test_every_name_builds_a_checkpoint_of_about_a_megabyte(built: Path, name: str) -> None:
    folder = tiny.checkpoint(name)
    assert 100_000 < checkpoints.footprint(folder, "fp32") < 2_000_000
    assert checkpoints.class_name(folder)
    assert tiny.checkpoint(name) == folder


@pytest.mark.slow
def test_another_process_builds_the_same_bytes(built: Path, tmp_path: Path) -> None:
    names = ["tiny/flux-kontext", "tiny/qwen3-vl"]
    code = f"from editbench.backends import tiny\nfor n in {names}: tiny.checkpoint(n)"
    environment = os.environ | {"EDITBENCH_HOME": str(tmp_path)}
    both = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    for name in names:
        here = tiny.checkpoint(name)
        there = tmp_path / here.relative_to(built)
        assert checkpoints.fingerprint(there) == checkpoints.fingerprint(here)
    assert {path.name for path in (tmp_path / "tiny").iterdir()} == {
        tiny.checkpoint(name).name for name in names
    }


def test_an_unknown_name_is_told_from_a_near_one() -> None:
    with pytest.raises(BackendError, match="did you mean tiny/qwen3-vl"):
        tiny.checkpoint("tiny/qwen3vl")


def test_a_home_that_cannot_be_written_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDITBENCH_HOME", str(tmp_path / "file"))
    with pytest.raises(BackendError) as caught:
        tiny.checkpoint("tiny/llava")
    assert "EDITBENCH_HOME" in caught.value.hint


def test_the_tokenizer_has_as_many_tokens_as_the_qwen_pipelines_cut_off(built: Path) -> None:
    processor = processors.load(tiny.checkpoint("tiny/qwen-image-edit") / "processor")
    assert len(processor.tokenizer.encode(PREFIX)) == 64


@pytest.mark.parametrize("text", ["Xyz çé 東京 42 — 🙂", '{"following":10,"reason":"ok"}', ""])
def test_the_tokenizer_gives_back_any_text(built: Path, text: str) -> None:
    tokenizer = processors.load(tiny.checkpoint("tiny/qwen3-vl")).tokenizer
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_scores_are_single_tokens(built: Path) -> None:
    tokenizer = processors.load(tiny.checkpoint("tiny/qwen3-vl")).tokenizer
    assert all(len(tokenizer.encode(str(digit))) == 1 for digit in range(10))
