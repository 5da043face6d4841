from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from editbench.backends import checkpoints
from editbench.backends.diffusers_editor import DiffusersEditor
from editbench.backends.transformers_judge import TransformersJudge
from editbench.errors import BackendError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def model(folder: Path, **tensors: torch.Tensor) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"architectures": ["ToyModel"]}')
    save_file(tensors or {"a": torch.ones(3, 4)}, folder / "model.safetensors")
    return folder


def hub(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Path:
    """Lay out a snapshot as the hub client would, and return its folder."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    repository = cache / "models--acme--toy"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return model(repository / "snapshots" / COMMIT)


def test_a_footprint_counts_floats_in_the_target_dtype_and_others_as_stored(
    tmp_path: Path,
) -> None:
    floats, integers = torch.ones(10, dtype=torch.float32), torch.ones(7, dtype=torch.int64)
    path = model(tmp_path / "m", a=floats, b=floats.to(torch.bfloat16), c=integers)
    assert checkpoints.footprint(path, "fp32") == 20 * 4 + 7 * 8
    assert checkpoints.footprint(path, "bf16") == 20 * 2 + 7 * 8


def test_a_quantised_model_counts_as_stored(tmp_path: Path) -> None:
    path = model(tmp_path / "m", a=torch.ones(10), b=torch.ones(5, dtype=torch.uint8))
    (path / "config.json").write_text('{"quantization_config": {"bits": 4}}')
    assert checkpoints.footprint(path, "bf16") == 10 * 4 + 5


@given(shape=st.lists(st.integers(0, 5), max_size=3), dtype=st.sampled_from(["F32", "I16", "U8"]))
def test_a_footprint_is_the_product_of_every_shape(
    shape: list[int], dtype: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kinds = {"F32": torch.float32, "I16": torch.int16, "U8": torch.uint8}
    path = model(tmp_path_factory.mktemp("m"), a=torch.zeros(shape, dtype=kinds[dtype]))
    width = {"F32": 2, "I16": 2, "U8": 1}[dtype]
    assert checkpoints.footprint(path, "fp16") == math.prod(shape) * width


@pytest.mark.parametrize("name", ["tiny/qwen-image-edit", "tiny/flux-kontext"])
def test_a_footprint_is_what_the_loaded_modules_take(built: Path, name: str) -> None:
    editor = DiffusersEditor(DiffusersEditor.Settings(model=name))  # type: ignore[arg-type]
    editor.load()
    assert editor.footprint == loaded_bytes(*editor.modules().values())


@pytest.mark.parametrize("name", ["tiny/qwen3-vl", "tiny/qwen3-vl-moe", "tiny/llava"])
def test_a_judges_footprint_counts_tied_weights_once(built: Path, name: str) -> None:
    judge = TransformersJudge(TransformersJudge.Settings(model=name))  # type: ignore[arg-type]
    judge.load()
    assert judge.footprint == loaded_bytes(*judge.modules().values())


def loaded_bytes(*modules: torch.nn.Module) -> int:
    return sum(weight.nbytes for module in modules for weight in module.parameters())


def test_components_that_the_index_does_not_name_do_not_count(tmp_path: Path) -> None:
    model(tmp_path / "vae")
    model(tmp_path / "leftover")
    index = {"_class_name": "ToyPipeline", "vae": ["diffusers", "Toy"], "checker": [None, None]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    assert checkpoints.footprint(tmp_path, "fp32") == 48
    assert checkpoints.class_name(tmp_path) == "ToyPipeline"


def test_sharded_weights_are_added_up_and_a_missing_shard_is_named(tmp_path: Path) -> None:
    path = model(tmp_path / "m")
    for number, name in ((1, "a"), (2, "b")):
        save_file({name: torch.ones(3, 4)}, path / f"model-{number}.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert checkpoints.footprint(path, "fp32") == 2 * 48
    (path / "model-2.safetensors").unlink()
    with pytest.raises(BackendError, match=r"model-2\.safetensors"):
        checkpoints.footprint(path, "fp32")


def test_weights_that_could_run_code_take_consent(tmp_path: Path) -> None:
    path = model(tmp_path / "m")
    (path / "model.safetensors").unlink()
    (path / "pytorch_model.bin").write_bytes(b"x" * 100)
    with pytest.raises(BackendError, match=r"pytorch_model\.bin") as caught:
        checkpoints.footprint(path, "fp32")
    assert "allow_pickle" in caught.value.hint
    assert checkpoints.footprint(path, "fp32", allow_pickle=True) == 100


def test_safetensors_are_taken_where_there_are_both(tmp_path: Path) -> None:
    path = model(tmp_path / "m")
    (path / "pytorch_model.bin").write_bytes(b"x" * 100)
    assert checkpoints.footprint(path, "fp32") == 48


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x05" + b"\0" * 7 + b"{nope"])
def test_a_torn_weight_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = model(tmp_path / "m")
    (path / "model.safetensors").write_bytes(content)
    with pytest.raises(BackendError, match=r"model\.safetensors is not a whole"):
        checkpoints.footprint(path, "fp32")


def test_a_folder_without_weights_says_so(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="holds no weights"):
        checkpoints.footprint(tmp_path, "fp32")


def test_a_fingerprint_follows_names_and_contents_and_not_the_place(tmp_path: Path) -> None:
    one = model(tmp_path / "one")
    two = model(tmp_path / "two")
    (two / "README.md").write_text("words")
    (two / ".git").mkdir()
    (two / ".git" / "config.json").write_text("{}")
    assert checkpoints.fingerprint(one) == checkpoints.fingerprint(two)
    save_file({"a": torch.zeros(3, 4)}, two / "model.safetensors")
    assert checkpoints.fingerprint(one) != checkpoints.fingerprint(two)


def test_a_changed_configuration_is_another_model(tmp_path: Path) -> None:
    path = model(tmp_path / "m")
    before = checkpoints.fingerprint(path)
    (path / "config.json").write_text('{"scale": 2}')
    assert checkpoints.fingerprint(path) != before


def test_a_remembered_hash_spares_reading_until_the_file_changes(tmp_path: Path) -> None:
    path = model(tmp_path / "m")
    memo: dict[str, str] = {}
    weights = (path / "model.safetensors").stat().st_size
    seen: list[tuple[int, int]] = []
    before = checkpoints.fingerprint(path, memo=memo, progress=lambda *at: seen.append(at))
    assert len(memo) == 2
    assert seen[-1][0] == seen[-1][1] > weights and len(seen) == 2  # a chunk for each file
    memo.update(dict.fromkeys(memo, "remembered"))
    assert checkpoints.fingerprint(path, memo=memo) != before
    save_file({"a": torch.ones(5, 4)}, path / "model.safetensors")
    changed = (path / "model.safetensors").stat().st_size
    checkpoints.fingerprint(path, memo=memo, progress=lambda *at: seen.append(at))
    assert len(memo) == 3 and seen[2:] == [(changed, changed)]


def test_a_hub_id_is_found_in_the_local_cache_and_known_by_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = hub(monkeypatch, tmp_path)
    found = checkpoints.locate("acme/toy")
    assert found == snapshot
    assert checkpoints.fingerprint(found) == COMMIT
    assert checkpoints.locate("acme/toy", revision=COMMIT, download=True) == snapshot


def test_a_model_that_is_not_there_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(monkeypatch, tmp_path)
    with pytest.raises(BackendError, match="acme/other is not on this machine") as caught:
        checkpoints.locate("acme/other")
    assert caught.value.hint == "download it first: hf download acme/other"
    with pytest.raises(BackendError, match="v2") as caught:
        checkpoints.locate("acme/toy", revision="v2")
    assert caught.value.hint.endswith("--revision v2")
    with pytest.raises(BackendError, match="cannot download acme/other"):
        checkpoints.locate("acme/other", download=True)


@pytest.mark.parametrize("name", ["/no/such/folder", "./here", "~/there", "plain", "a/b/c"])
def test_a_missing_folder_is_not_taken_for_a_hub_id(name: str) -> None:
    with pytest.raises(BackendError, match="there is no folder"):
        checkpoints.locate(name)
