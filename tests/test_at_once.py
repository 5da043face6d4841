"""Both models on the device: an edit is scored while others are made, all it needs at hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from pydantic import BaseModel

from editbench import assemble
from editbench.engine.events import PhaseEnded, PhaseStarted, Planned
from editbench.engine.protocols import EditRequest, Stop
from editbench.testing import ScriptedEditor, ScriptedJudge
from tests.runs import make, pairs, results

NAMES = ["ant", "bee", "cow", "dog"]


class Editor(ScriptedEditor):
    """Paints over its sources if it is told to, which no editor should."""

    class Settings(BaseModel):
        paints: bool = False

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._paints = settings.paints

    def edit(self, requests: Sequence[EditRequest], *, stop: Stop) -> list[Image.Image]:
        edits = super().edit(requests, stop=stop)
        if self._paints:
            for request in requests:
                request.images[0].paste(0, (0, 0, *request.images[0].size))
        return edits


class Judge(ScriptedJudge):
    """Scores by what it sees."""

    class Settings(BaseModel):
        pass

    def __init__(self, settings: Settings) -> None:
        super().__init__()


def test_scoring_sees_the_sources_as_they_were_and_decodes_none_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[bytes] = []
    decode = assemble.decode

    def counted(data: bytes) -> Image.Image:
        decoded.append(data)
        return decode(data)

    monkeypatch.setattr(assemble, "decode", counted)
    suite = pairs(tmp_path / "x", NAMES)
    scores = []
    for paints in (False, True):
        decoded.clear()
        models = {
            "editor": {"use": f"{__file__}:Editor", "paints": paints},
            "judge": {"use": f"{__file__}:Judge"},
        }
        made = make(tmp_path / str(paints), suite, models)
        begun = [e for e in made.events if isinstance(e, PhaseStarted | PhaseEnded)][:2]
        assert all(isinstance(event, PhaseStarted) for event in begun)  # both at once
        assert len(decoded) == len(NAMES)
        scores.append([item["overall"] for item in made.result.items()])
    assert scores[0] == scores[1]
    assert len(set(scores[0])) > 1


@pytest.mark.parametrize("budget", ["1.8MB", "10MB"])
def test_two_models_that_fit_a_device_are_both_there(tmp_path: Path, budget: str) -> None:
    suite = pairs(tmp_path / "x", NAMES)
    model = {"editor": {"model": "tiny/qwen-image-edit"}}
    both = make(tmp_path / "both", suite, model, {"memory": {"device_budget": budget}})
    turns = make(tmp_path / "turns", suite, model, {"memory": {"device_budget": "1.44MB"}})
    placements = [e.placement for m in (both, turns) for e in m.events if isinstance(e, Planned)]
    assert placements == ["co-resident", "phased"]
    assert results(both.result.folder) == results(turns.result.folder)
    assert both.result.summary["overall"]["n"] == len(NAMES)
