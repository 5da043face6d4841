"""Tiny models by name, and what they answer to one fixed request."""

from __future__ import annotations

from typing import Any

from PIL import Image

from editbench.backends import registry, tiny
from editbench.engine.protocols import EditRequest, Question
from editbench.suites.rubrics import load_rubric

SOURCE = Image.linear_gradient("L").resize((64, 64)).convert("RGB")


def make(model: str, **settings: Any) -> Any:
    """Return a tiny editor or judge, not loaded."""
    if model in tiny.EDITORS:
        return registry.make("editor", "diffusers", {"model": model, **settings})
    return registry.make("judge", "transformers", {"model": model, **settings})


def answer(model: Any) -> object:
    """Return the edit's pixels, or the reply."""
    if hasattr(model, "edit"):
        request = EditRequest("a", (SOURCE,), "Make it brighter.", 7)
        return [edit.tobytes() for edit in model.edit([request], stop=lambda: False)]
    prompt = load_rubric("default").prompt("physical", "Make it brighter.")
    question = Question("a", (SOURCE, SOURCE), prompt.system, prompt.user, prompt.contract)
    return model.ask([question], stop=lambda: False)


def budgets(model: Any) -> list[int]:
    """The smallest, in steps of a hundredth of the model, and the largest at which it streams."""
    steps = (model.footprint * share // 100 for share in range(1, 100))
    possible = [budget for budget in steps if model.streaming(budget)]
    return [possible[0], possible[-1]]
