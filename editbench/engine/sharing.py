"""Spares the device what another run has stored since this one looked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from editbench.errors import StoreError

InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")


def spared(
    inputs: Sequence[InputT],
    *,
    stored: Callable[[Sequence[InputT]], Mapping[int, OutputT | None]],
    make: Callable[[Sequence[InputT]], Sequence[OutputT]],
) -> list[OutputT]:
    """Return what is stored for each input, and what ``make`` makes of all the others together.

    ``stored`` says what there is, by its place among the inputs; None is nothing.
    A store that cannot be read spares nothing. Raises what ``make`` raises, and ``ValueError`` if
    it returns too few or too many.
    """
    outputs: dict[int, OutputT] = {}
    with suppress(StoreError):  # whoever puts the result there will say so
        found = stored(inputs)
        outputs.update((place, one) for place, one in found.items() if one is not None)
    left = [index for index in range(len(inputs)) if index not in outputs]
    if left:
        made = make([inputs[index] for index in left])
        outputs.update(zip(left, made, strict=True))
    return [outputs[index] for index in range(len(inputs))]
