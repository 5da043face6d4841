"""From a judge's words to a verdict. Strict: what does not keep the contract is no score."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from editbench.records import Json, Reply, Verdict

_FENCE = re.compile(r"\s*```json\s*\n(.*?)\n\s*```\s*", re.DOTALL)


def parse(
    reply: Reply,
    contract: Mapping[str, Json],
    *,
    overall: Callable[[Mapping[str, float]], float],
) -> Verdict:
    """Return what a reply says, if the whole of it is one JSON object that keeps the contract.

    Around the object only white space and a ```` ```json ```` fence are allowed. ``overall`` makes
    the criteria one number; it is called for a sound reply only. ``contract`` is an object's JSON
    schema whose properties are texts and numbers.
    """
    if reply.finish == "refused":
        return Verdict("refused", message="the judge refused to answer")
    try:
        values = _object(reply.text)
        _check_names(values, contract)
        reason = _texts(values, contract)
        criteria = _numbers(values, contract)
    except ValueError as exc:
        if reply.finish == "length":
            return Verdict("truncated", message=f"the reply was cut off: {exc}")
        return Verdict("unparsable", message=str(exc))
    beyond = [
        f"{name} is {value:g}, outside {low:g} to {high:g}"
        for name, value in criteria.items()
        for low, high in [_limits(contract["properties"][name])]
        if not low <= value <= high
    ]
    if beyond:
        return Verdict("out_of_range", criteria, reason=reason, message="; ".join(beyond))
    return Verdict("ok", criteria, overall=overall(criteria), reason=reason)


def _object(text: str) -> dict[str, Json]:
    """Return the one object in a text. Raises ``ValueError``."""
    fenced = _FENCE.fullmatch(text)
    try:
        values = json.loads(
            fenced[1] if fenced else text, object_pairs_hook=_unique, parse_constant=_no_number
        )
    except json.JSONDecodeError as exc:
        raise ValueError(f"not one JSON object: {exc.msg} at character {exc.pos}") from exc
    except RecursionError as exc:
        raise ValueError("not one JSON object: nested too deep") from exc
    if not isinstance(values, dict):
        raise ValueError(f"expected one JSON object, got a {type(values).__name__}")
    return values


def _unique(items: Sequence[tuple[str, Json]]) -> dict[str, Json]:
    values = dict(items)
    if len(values) < len(items):
        raise ValueError("a name is given twice")
    return values


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def _check_names(values: Mapping[str, Json], contract: Mapping[str, Json]) -> None:
    wanted = contract["properties"]
    missing = [name for name in contract.get("required", ()) if name not in values]
    if missing:
        raise ValueError(f"missing: {', '.join(missing)}")
    unknown = [name for name in values if name not in wanted]
    if unknown:
        raise ValueError(f"not asked for: {', '.join(unknown)}")


def _texts(values: Mapping[str, Json], contract: Mapping[str, Json]) -> str:
    """Return the texts of a reply, normally just its reason. Raises ``ValueError``."""
    texts = []
    for name, value in values.items():
        rule = contract["properties"][name]
        if rule["type"] != "string":
            continue
        if not isinstance(value, str):
            raise ValueError(f"{name} must be a text")
        longest = rule.get("maxLength", math.inf)
        if len(value) > longest:
            raise ValueError(f"{name} has {len(value)} characters, {longest} are allowed")
        # Half a surrogate pair is a legal JSON escape, but no file could hold it.
        texts.append(value.encode("utf-8", "replace").decode("utf-8"))
    return "\n".join(texts)


def _numbers(values: Mapping[str, Json], contract: Mapping[str, Json]) -> dict[str, float]:
    """Return the numbers of a reply in the contract's order. Raises ``ValueError``."""
    numbers: dict[str, float] = {}
    for name, rule in contract["properties"].items():
        if rule["type"] == "string" or name not in values:
            continue
        value = values[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} must be a number")
        if rule["type"] == "integer" and isinstance(value, float) and not value.is_integer():
            raise ValueError(f"{name} must be a whole number, got {value:g}")
        try:
            numbers[name] = float(value)
        except OverflowError:
            raise ValueError(f"{name} is too large for a number") from None
    return numbers


def _limits(rule: Mapping[str, Json]) -> tuple[float, float]:
    return rule.get("minimum", -math.inf), rule.get("maximum", math.inf)
