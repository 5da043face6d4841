"""The lines of ``items.jsonl``: one pair each, and nothing that a crash can leave half-read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from editbench.errors import ResultError
from editbench.records import Edit, Failure, Json, Outcome, Pair, Reply, Verdict


def to_line(outcome: Outcome) -> str:
    """Return an outcome as one line of JSON, without its line end.

    Keys stand in a fixed order; ``seconds`` comes last and holds the only clock readings.
    """
    pair, verdict, edit, reply = outcome.pair, outcome.verdict, outcome.edit, outcome.reply
    value = {
        "id": pair.id,
        "category": pair.category,
        "instruction": pair.instruction,
        "state": outcome.state,
        "overall": verdict.overall,
        "criteria": dict(verdict.criteria),
        "reason": verdict.reason,
        "raw": reply.text if reply else None,
        "finish": reply.finish if reply else None,
        "edit": edit
        and {
            "key": edit.key,
            "pixels": edit.pixels,
            "width": edit.width,
            "height": edit.height,
            "bytes": edit.bytes,
        },
        "error": _error(outcome),
        "extra": dict(pair.extra),
        "seconds": {"edit": edit.seconds if edit else None, "score": outcome.score_seconds},
    }
    return dump(value)


def from_item(item: Mapping[str, Any]) -> Outcome:
    """Return the outcome that a line tells of, as far as it does: where the sources are is not.

    Raises ``ResultError`` for an object that is no such line.
    """
    try:
        seconds, edit, error = item["seconds"], item["edit"], item["error"] or {}
        return Outcome(
            pair=Pair(item["id"], item["category"], item["instruction"], (), extra=item["extra"]),
            verdict=Verdict(
                item["state"],
                item["criteria"],
                item["overall"],
                item["reason"],
                error.get("message", ""),
            ),
            edit=Edit(**edit, seconds=seconds["edit"]) if edit else None,
            reply=None if item["raw"] is None else Reply(item["raw"], item["finish"]),
            score_seconds=seconds["score"],
            failure=Failure(error["state"], error["type"], error["message"], error["attempts"])
            if error.get("type")
            else None,
        )
    except (KeyError, TypeError) as exc:
        raise ResultError(f"an item is not as editbench writes it: {exc!r}") from exc


def _error(outcome: Outcome) -> dict[str, Json] | None:
    """A reply that is at fault has a message but no error class."""
    if failure := outcome.failure:
        return {
            "state": failure.state,
            "type": failure.error,
            "message": failure.message,
            "attempts": failure.attempts,
        }
    if outcome.state == "ok":
        return None
    message = outcome.verdict.message
    return {"state": outcome.state, "type": None, "message": message, "attempts": 1}


def dump(value: Json) -> str:
    """Return JSON on one line: readable in every language, valid UTF-8, null for NaN."""
    try:
        line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):  # NaN, or a mapping that is no dict
        value = _finite(value)
        line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        line.encode()
    except UnicodeEncodeError:  # half of a surrogate pair has no UTF-8; escaped, it survives
        line = json.dumps(value, allow_nan=False)
    return line


def _finite(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON lines file; nothing if it does not exist.

    A last line that was cut off is dropped. Raises ``ResultError`` for any other bad line.
    """
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                try:
                    value = json.loads(line)
                except ValueError:
                    if line.endswith(b"\n"):
                        raise ResultError(f"{path}, line {number} is damaged") from None
                    return
                if not isinstance(value, dict):
                    raise ResultError(f"{path}, line {number} is not an object")
                yield value
    except FileNotFoundError:
        return
    except OSError as exc:
        raise ResultError(f"cannot read {path}: {exc}") from exc
