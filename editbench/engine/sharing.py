"""Spares the device what other runs have stored since this one looked, or have in hand now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from editbench.engine.claims import Claims
from editbench.engine.steps import LATER
from editbench.errors import StoreError
from editbench.records import Failure

InputT = TypeVar("InputT")


def shared(
    inputs: Sequence[InputT],
    names: Sequence[str],
    *,
    claims: Claims,
    stored: Callable[[], Mapping[int, Any]],
    make: Callable[[Sequence[InputT]], Sequence[Any]],
) -> list[Any]:
    """Return what is stored for each input, and what ``make`` makes of the others together.

    What another run has in hand is ``LATER``. What is made stays claimed, under its name, until it
    is dropped by whoever stores it. ``stored`` says what there is, by its place among the inputs;
    a store that cannot be read spares nothing. Raises what ``make`` raises, and ``ValueError`` if
    it returns too few or too many.
    """
    outputs: dict[int, Any] = dict.fromkeys(claims.take(names), LATER)
    with suppress(StoreError):  # whoever puts the result there will say so
        # Only now: what another run had in hand until just before is stored.
        outputs |= {place: one for place, one in stored().items() if one is not None}
    left = [place for place in range(len(inputs)) if place not in outputs]
    try:
        if left:
            made = make([inputs[place] for place in left])
            outputs.update(zip(left, made, strict=True))
    except BaseException:
        claims.drop(names)
        raise
    to_store = {names[place] for place in left if not isinstance(outputs[place], Failure)}
    claims.drop(set(names) - to_store)
    return [outputs[place] for place in range(len(inputs))]
