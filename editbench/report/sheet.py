"""Items as CSV, for spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from typing import IO, Any

from editbench.records import Json

COLUMNS = ("id", "category", "instruction", "state", "overall")


def write_csv(
    first: Iterable[Mapping[str, Any]], second: Iterable[Mapping[str, Any]], stream: IO[str]
) -> None:
    """Write one row an item, criteria as columns. Takes the same items twice and keeps none.

    Text that a spreadsheet would run as a formula gets a leading apostrophe.
    """
    criteria = list(dict.fromkeys(name for item in first for name in item["criteria"]))
    out = csv.writer(stream, lineterminator="\n")
    out.writerow([*COLUMNS, *(_inert(f"criteria.{name}") for name in criteria), "reason", "error"])
    for item in second:
        scores = [item["criteria"].get(name) for name in criteria]
        error = item["error"]["message"] if item["error"] else None
        values = [*(item[name] for name in COLUMNS), *scores, item["reason"], error]
        out.writerow([_inert(value) for value in values])


def _inert(value: Json) -> Json:
    risky = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{value}" if risky else value
