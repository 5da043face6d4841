"""Items as CSV, for spreadsheets."""

from __future__ import annotations

import csv
from typing import IO

from editbench.records import Json
from editbench.report.result import RunResult

COLUMNS = ("id", "category", "instruction", "state", "overall")


def write_csv(result: RunResult, stream: IO[str]) -> None:
    """Write one row a pair, criteria as columns. Reads the items twice and keeps none of them.

    Text that a spreadsheet would run as a formula gets a leading apostrophe.
    """
    criteria = list(dict.fromkeys(name for item in result.items() for name in item["criteria"]))
    out = csv.writer(stream, lineterminator="\n")
    out.writerow([*COLUMNS, *(_inert(f"criteria.{name}") for name in criteria), "reason", "error"])
    for item in result.items():
        scores = [item["criteria"].get(name) for name in criteria]
        error = item["error"]["message"] if item["error"] else None
        values = [*(item[name] for name in COLUMNS), *scores, item["reason"], error]
        out.writerow([_inert(value) for value in values])


def _inert(value: Json) -> Json:
    risky = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{value}" if risky else value
