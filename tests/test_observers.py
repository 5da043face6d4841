from __future__ import annotations

import logging
from pathlib import Path

import pytest

from editbench import api
from editbench.config import layered
from editbench.errors import BackendError, ConfigError
from tests.runs import TINY, make, places

CODE = """
from pydantic import BaseModel, ConfigDict

class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    file: str
    good_for: int = 1000

class Writer:
    Settings = Settings

    def __init__(self, settings):
        self._settings = settings
        self._seen = 0

    def __call__(self, event):
        self._seen += 1
        if self._seen > self._settings.good_for:
            raise KeyError("tired")
        with open(self._settings.file, "a") as stream:
            stream.write(event.kind + "\\n")

class Broken(Writer):
    def __init__(self, settings):
        raise ImportError("No module named 'nowhere'")
"""


@pytest.fixture
def module(tmp_path: Path) -> str:
    path = tmp_path / "writer.py"
    path.write_text(CODE)
    return str(path)


def test_an_observer_is_told_everything_and_changes_nothing(tmp_path: Path, module: str) -> None:
    seen = tmp_path / "seen"
    made = make(tmp_path, {"observers": [{"use": f"{module}:Writer", "file": str(seen)}]})
    assert seen.read_text().split() == [event.kind for event in made.events]
    assert made.result.settings["observers"] == [{"use": f"{module}:Writer", "file": str(seen)}]
    again = make(tmp_path)
    assert again.result.folder == made.result.folder and again.count("edit") == 0


def test_an_observer_that_fails_is_told_no_more_and_the_run_goes_on(
    tmp_path: Path, module: str, caplog: pytest.LogCaptureFixture
) -> None:
    seen = tmp_path / "seen"
    tired = {"use": f"{module}:Writer", "file": str(seen), "good_for": 3}
    with caplog.at_level(logging.WARNING):
        made = make(tmp_path, {"observers": [tired]})
    assert made.result.finished
    assert len(seen.read_text().split()) == 3
    said = [r.getMessage() for r in caplog.records if r.name == "editbench.observers"]
    assert len(said) == 1 and said[0].endswith("failed and is told no more: KeyError: 'tired'")


def test_problems_of_observers_are_told_with_all_others(tmp_path: Path, module: str) -> None:
    observers = [{"use": f"{module}:Writer", "fiel": "x"}, "trakio"]
    with pytest.raises(ConfigError) as caught:
        api.load_config(overrides={"observers": observers})
    text = "\n".join(caught.value.problems)
    assert "observers.0.fiel" in text and "did you mean 'file'?" in text
    assert "observers.1.use" in text and "there is no observer 'trakio'" in text


def test_a_plug_in_that_cannot_be_made_is_to_blame_itself(tmp_path: Path, module: str) -> None:
    broken = {"use": f"{module}:Broken", "file": "x"}
    config = api.load_config(overrides=layered(TINY, places(tmp_path), {"observers": [broken]}))
    with pytest.raises(BackendError, match="cannot be made: ImportError: No module named"):
        api.run(config)
