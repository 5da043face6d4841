"""Measure how well image-editing models follow instructions, on one machine, with one swap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from editbench.api import (
        Run,
        compare,
        config_of,
        list_runs,
        load_config,
        open_result,
        open_run,
        plan,
        reparse,
        run,
        score,
        score_config,
        write_report,
    )
    from editbench.config import RunConfig
    from editbench.engine.plan import Plan
    from editbench.engine.protocols import Editor, Judge, Observer, Suite
    from editbench.errors import EditbenchError
    from editbench.records import Edit, Outcome, Pair, Reply, Verdict
    from editbench.report.comparison import Comparison
    from editbench.report.result import RunResult

__all__ = [
    "Comparison",
    "Edit",
    "EditbenchError",
    "Editor",
    "Judge",
    "Observer",
    "Outcome",
    "Pair",
    "Plan",
    "Reply",
    "Run",
    "RunConfig",
    "RunResult",
    "Suite",
    "Verdict",
    "compare",
    "config_of",
    "list_runs",
    "load_config",
    "open_result",
    "open_run",
    "plan",
    "reparse",
    "run",
    "score",
    "score_config",
    "write_report",
]

_HOMES = {
    "Comparison": "editbench.report.comparison",
    "RunConfig": "editbench.config",
    "EditbenchError": "editbench.errors",
    "Plan": "editbench.engine.plan",
    "RunResult": "editbench.report.result",
}
_HOMES |= dict.fromkeys(("Edit", "Outcome", "Pair", "Reply", "Verdict"), "editbench.records")
_HOMES |= dict.fromkeys(("Editor", "Judge", "Observer", "Suite"), "editbench.engine.protocols")


def __getattr__(name: str) -> Any:
    # Looked up on first use: the command line imports this package for every --help.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES.get(name, "editbench.api")), name)
    globals()[name] = value
    return value
