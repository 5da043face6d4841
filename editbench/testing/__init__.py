"""For authors of plugins and tests: conformance checks, and an editor and a judge that do as told.

from editbench.testing import check_editor

def test_my_editor_keeps_the_contract() -> None:
    check_editor(MyEditor(MySettings()))
"""

from __future__ import annotations

from editbench.testing.conformance import check_editor, check_judge
from editbench.testing.scripted import ScriptedEditor, ScriptedJudge

__all__ = ["ScriptedEditor", "ScriptedJudge", "check_editor", "check_judge"]
