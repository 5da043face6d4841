"""Inputs that mean harm, or might as well: nothing is executed, believed or escaped from."""

from __future__ import annotations

import json
import pickle
import shutil
import sqlite3
import struct
import sys
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from editbench.backends import tiny
from editbench.cli.app import app
from editbench.engine.events import Failed
from editbench.errors import BackendError, StoreError, SuiteError
from editbench.suites.images import decode
from tests.runs import TINY, make, pairs

QUICK = {"editor": {"use": "pillow"}}


class Planted:
    """Unpickled, it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return eval, (f"open({str(self.file)!r}, 'w').close()",)


def test_a_pickle_planted_in_the_store_is_refused_and_not_opened(tmp_path: Path) -> None:
    suite = pairs(tmp_path / "x", ["ant", "bee"])
    make(tmp_path, QUICK, suite)
    bomb = pickle.dumps(Planted(tmp_path / "harm"))
    with closing(sqlite3.connect(tmp_path / "store/cache.db")) as con, con:
        con.execute("DELETE FROM Cache WHERE key LIKE 'v:%'")
        con.execute("UPDATE Cache SET value = ?, mode = 4 WHERE key LIKE 'e:%'", [bomb])
        con.execute("INSERT INTO Cache (key, raw, value, mode) VALUES (?, 0, ?, 4)", [bomb, bomb])
    with pytest.raises(StoreError, match="did not write") as caught:
        make(tmp_path, QUICK, suite)
    assert "delete the folder" in caught.value.hint
    assert not (tmp_path / "harm").exists()
    pickle.loads(bomb)
    assert (tmp_path / "harm").exists(), "the plant was harmless, so this proves nothing"


def test_ids_are_names_and_never_paths(tmp_path: Path) -> None:
    names = ["../../escape", "/etc/escape", "i" * 300, "a\tb\x1b[31mred\x07", "con\u202egnp.", "鸟"]
    source = tmp_path / "x/a.png"
    source.parent.mkdir()
    Image.new("RGB", (64, 64), "teal").save(source)
    rows = [
        {"id": name, "category": name, "instruction": f"Do {name}", "source": "a.png"}
        for name in names
    ]
    (tmp_path / "x/pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = make(
        tmp_path, QUICK, {"suite": {"path": str(tmp_path / "x/pairs.jsonl"), "limit": None}}
    )
    assert list(made.items()) == names
    assert {path.name for path in tmp_path.iterdir()} == {"x", "runs", "store"}
    assert not [path for path in tmp_path.rglob("*") if "escape" in path.name]
    folder = made.result.folder
    assert not [path for path in folder.rglob("*") if path.is_dir()]
    for command in (["show", str(folder)], ["show", str(folder), "--pair", names[3]]):
        shown = CliRunner().invoke(app, command)
        assert "\x1b[31m" not in shown.output and "\x07" not in shown.output
        assert "\u202e" not in shown.output


def png(width: int, height: int, pixels: bytes) -> bytes:
    """Return a PNG that claims a size, whatever its pixels come to."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


BOMB = png(60_000, 60_000, bytes(900_000))
LIARS = {
    "a bomb": (BOMB, "60000x60000"),
    "no pixels at all": (png(640, 480, b""), "damaged or cut short"),
    "zero wide": (png(0, 64, b""), ""),
    "a script": (b"#!/bin/sh\ntouch harm\n", "not an image"),
    "a vector drawing": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    "empty": (b"", "empty"),
}


@pytest.mark.parametrize("liar", LIARS)
def test_images_that_lie_are_refused_or_counted_and_harm_no_other(
    liar: str, tmp_path: Path
) -> None:
    content, said = LIARS[liar]
    suite = pairs(tmp_path / "x", ["ant", "bee"])
    (tmp_path / "x/ant.png").write_bytes(content)
    with pytest.raises(SuiteError) as caught:
        make(tmp_path, QUICK, suite)
    (problem,) = caught.value.problems
    assert "pairs.jsonl:1" in problem and said in problem
    made = make(tmp_path, QUICK, suite, {"suite": {"skip_bad": True}})
    assert {name: item["state"] for name, item in made.items().items()} == {
        "ant": "edit_failed",
        "bee": "ok",
    }


def test_a_picture_with_fewer_rows_than_it_says_is_black_below_them(tmp_path: Path) -> None:
    suite = pairs(tmp_path / "x", ["ant"])
    (tmp_path / "x/ant.png").write_bytes(png(640, 480, (b"\0" + b"\xff" * 1920) * 5))
    picture = decode((tmp_path / "x/ant.png").read_bytes())
    assert picture.getbbox() == (0, 0, 640, 5)
    assert make(tmp_path, QUICK, suite).result.summary["overall"]["n"] == 1


def test_a_bomb_is_small_and_is_never_unpacked(tmp_path: Path) -> None:
    import resource

    assert len(BOMB) < 1100
    suite = pairs(tmp_path / "x", ["ant"])
    (tmp_path / "x/ant.png").write_bytes(BOMB)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SuiteError):
        make(tmp_path, QUICK, suite)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


RETURNS = """
import io
from pathlib import Path
import numpy as np
from PIL import Image
from pydantic import BaseModel
from editbench.backends.outputs import to_images
from editbench.records import Reply
from editbench.testing import ScriptedEditor, ScriptedJudge

class Settings(BaseModel):
    pass

MADE = {
    "nan": lambda image: to_images(np.full((1, 64, 64, 3), np.nan))[0],
    "black": lambda image: Image.new("RGB", image.size),
    "none": lambda image: None,
    "text": lambda image: "a lovely picture",
    "floats": lambda image: Image.new("F", image.size, float("nan")),
    "clear": lambda image: Image.new("RGBA", image.size),
    "empty": lambda image: Image.new("RGB", (0, 64)),
    "torn": lambda image: Image.open(io.BytesIO(Path("torn.png").read_bytes())),
}

class Editor(ScriptedEditor):
    Settings = Settings
    def __init__(self, settings):
        super().__init__()
    def edit(self, requests, *, stop):
        if requests[0].pair_id == "few":
            return []
        return [MADE.get(one.pair_id, lambda image: image)(one.images[0]) for one in requests]

class Judge(ScriptedJudge):
    Settings = Settings
    def __init__(self, settings):
        super().__init__()
    def ask(self, questions, *, stop):
        odd = {"mute": None, "chat": "9/10, lovely", "bytes": Reply(b"9")}
        replies = super().ask(questions, stop=stop)
        return [odd.get(q.pair_id, reply) for q, reply in zip(questions, replies)]
"""
STATES = {
    "good": "ok",
    "black": "ok",  # an image like any other: what it is worth is for the judge to say
    "nan": "edit_invalid",
    "none": "edit_invalid",
    "text": "edit_invalid",
    "floats": "edit_invalid",
    "clear": "edit_invalid",
    "empty": "edit_invalid",
    "torn": "edit_failed",
    "few": "edit_failed",
    "mute": "judge_failed",
    "chat": "judge_failed",
    "bytes": "judge_failed",
}


def test_what_a_plugin_returns_is_believed_only_if_it_is_what_it_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = pairs(tmp_path / "x", list(STATES))
    (tmp_path / "plugin.py").write_text(RETURNS)
    (tmp_path / "torn.png").write_bytes(png(64, 64, b""))
    monkeypatch.chdir(tmp_path)
    use = {kind: {"use": f"{tmp_path}/plugin.py:{kind.title()}"} for kind in ("editor", "judge")}
    made = make(tmp_path, suite, use)
    assert {name: item["state"] for name, item in made.items().items()} == STATES
    failed = [event for event in made.events if isinstance(event, Failed)]
    assert len(failed) == len(STATES) - 2
    assert made.result.summary["overall"]["n"] == 2
    assert all(item["overall"] is None for item in made.items().values() if item["state"] != "ok")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder with a judge of one's own."""
    folder = tmp_path / "judge"
    shutil.copytree(tiny.checkpoint("tiny/qwen3-vl"), folder)
    return folder


def with_judge(folder: Path, **more: object) -> dict[str, Any]:
    return {**QUICK, "judge": {**TINY["judge"], "model": str(folder), **more}}


def test_weights_that_can_run_code_are_refused_unless_allowed(
    checkpoint: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    suite = pairs(tmp_path / "x", ["ant"])
    (weights,) = checkpoint.glob("*.safetensors")
    torch.save(load_file(weights), checkpoint / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(BackendError, match="can run code") as caught:
        make(tmp_path, suite, with_judge(checkpoint))
    assert "allow_pickle" in caught.value.hint
    made = make(tmp_path, suite, with_judge(checkpoint, allow_pickle=True))
    assert made.result.summary["overall"]["n"] == 1


def test_planted_weights_do_no_harm_even_where_pickles_are_allowed(
    checkpoint: Path, tmp_path: Path
) -> None:
    suite = pairs(tmp_path / "x", ["ant"])
    (weights,) = checkpoint.glob("*.safetensors")
    weights.unlink()
    harm = tmp_path / "harm"
    (checkpoint / "pytorch_model.bin").write_bytes(pickle.dumps(Planted(harm)))
    for allowed in (False, True):
        with pytest.raises(BackendError):
            make(tmp_path, suite, with_judge(checkpoint, allow_pickle=allowed))
    assert not harm.exists()


OWN = """
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

class Config(Qwen3VLConfig):
    pass

class Model(Qwen3VLForConditionalGeneration):
    config_class = Config
"""


def test_code_in_a_models_folder_runs_only_when_trusted_and_that_is_recorded(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = "transformers.dynamic_module_utils.HF_MODULES_CACHE"
    monkeypatch.setattr(copies, str(tmp_path / "copies"))
    monkeypatch.setattr("sys.path", list(sys.path))
    suite = pairs(tmp_path / "x", ["ant"])
    ran = tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w').close()\n"
    (checkpoint / "own.py").write_text(code + OWN)
    config = json.loads((checkpoint / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "own.Config", "AutoModelForImageTextToText": "own.Model"}
    (checkpoint / "config.json").write_text(json.dumps(config))
    made = make(tmp_path, suite, with_judge(checkpoint))
    assert not ran.exists()
    assert "trust_remote_code" not in identity(made.result.folder)
    made = make(tmp_path, suite, with_judge(checkpoint, trust_remote_code=True))
    assert identity(made.result.folder)["trust_remote_code"] is True
    settings = (made.result.folder / "run.toml").read_text()
    assert "trust_remote_code = true" in settings


def identity(folder: Path) -> dict[str, Any]:
    environment = json.loads((folder / "env.json").read_text())
    return dict(environment["identities"]["judge"])
