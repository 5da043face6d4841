"""Models that are built and loaded once for all tests of this room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from editbench.backends.diffusers_editor import DiffusersEditor, DiffusersSettings
from editbench.backends.transformers_judge import TransformersJudge, TransformersSettings


@pytest.fixture(scope="session")
def built(shared_home: Path) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDITBENCH_HOME", str(shared_home))
        yield shared_home


@pytest.fixture(scope="session")
def kontext(built: Path) -> DiffusersEditor:
    """The quickest editor, loaded. Tests must leave it as it is."""
    editor = DiffusersEditor(DiffusersSettings(model="tiny/flux-kontext"))
    editor.load()
    return editor


@pytest.fixture(scope="session")
def judge(built: Path) -> TransformersJudge:
    """The default judge, loaded. Tests must leave it as it is."""
    judge = TransformersJudge(TransformersSettings())
    judge.load()
    return judge
