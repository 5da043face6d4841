"""A result in the form that the Hugging Face Hub reads from a model's ``.eval_results`` folder.

The form is huggingface/hub-docs, ``docs/hub/eval-results.md``, of which the Hub says that it may
still change. It counts only for data sets that are registered there as benchmarks.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from editbench.report.result import RunResult


def fragment(result: RunResult, *, dataset: str, task: str = "default") -> str:
    """Return the YAML of a finished run's mean.

    ``dataset`` is the benchmark's id on the Hub, ``task`` the id that its ``eval.yaml`` gives it.
    """
    summary, overall = result.summary, result.summary["overall"]
    notes = f"judged by {summary['judge']}, {overall['n']} of {overall['pairs']} pairs scored"
    if interval := overall["interval"]:
        notes += f", 95 % interval {interval[0]:.2f} to {interval[1]:.2f}"
    lines = [
        "- dataset:",
        f"    id: {_scalar(dataset)}",
        f"    task_id: {_scalar(task)}",
        f"  value: {_scalar(overall['mean'])}",
    ]
    if date := result.environment.get("written", "")[:10]:
        lines.append(f"  date: {_scalar(date)}")
    lines.append(f"  notes: {_scalar(notes)}")
    return "\n".join(lines) + "\n"


def _scalar(value: str | float | None) -> str:
    """JSON's strings and numbers are YAML's as well."""
    return json.dumps(value)
