"""A part of a suite, as a suite."""

from __future__ import annotations

import difflib
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence

from editbench.errors import SuiteError
from editbench.records import Pair, Picture
from editbench.suites.look import Look, Suite, look


class View:
    """Some pairs of a suite, in its order; reads through."""

    def __init__(self, suite: Suite, indices: Iterable[int]) -> None:
        self.name = suite.name
        self._suite = suite
        self._indices = array("q", indices)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Pair:
        return self._suite[self._indices[index]]

    def look(self, index: int) -> Look:
        """Return the pair as far as it can be read, with its faults."""
        return look(self._suite, self._indices[index])

    def read(self, picture: Picture) -> bytes:
        """Return the encoded bytes of an image. Raises ``SuiteError``. Any thread."""
        return self._suite.read(picture)


def select(
    suite: Suite,
    *,
    category: Sequence[str] = (),
    pair: Sequence[str] = (),
    limit: int | None = None,
) -> Suite:
    """Return the pairs of these categories and ids, at most ``limit`` of each category.

    Nothing given means no restriction. A pair that cannot be read stays, unless ids are asked for
    and it has none of them: leaving it out would hide a fault. Raises ``SuiteError`` listing
    every category and id that the suite does not have.
    """
    if not category and not pair and limit is None:
        return suite
    wanted, within = set(pair), set(category)
    kept: list[int] = []
    ids: list[str] = []
    taken: Counter[str] = Counter()
    categories: Counter[str] = Counter()
    for index in range(len(suite)):
        found = look(suite, index).pair
        categories[found.category] += 1
        if wanted:
            ids.append(found.id)
        if wanted and found.id not in wanted:
            continue
        if within and found.category and found.category not in within:
            continue
        if found.category:
            taken[found.category] += 1
        if limit is None or taken[found.category] <= limit:
            kept.append(index)
    problems = _unknown("category", category, [name for name in categories if name])
    problems += _unknown("pair", pair, ids)
    if problems:
        counts = ", ".join(f"{name} ({count})" for name, count in categories.items() if name)
        raise SuiteError(
            f"{suite.name} does not have what was selected",
            hint=f"its categories are {counts}",
            problems=problems,
        )
    if not kept:
        raise SuiteError(
            f"nothing is left of {suite.name}: no selected pair is in a selected category"
        )
    return View(suite, kept)


def _unknown(kind: str, wanted: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return a line for each wanted name that is not known, with those it may have meant."""
    lines = []
    for name in dict.fromkeys(wanted):
        if name not in known:
            near = difflib.get_close_matches(name, set(known), n=3)
            meant = f", did you mean {' or '.join(map(repr, sorted(near)))}?" if near else ""
            lines.append(f"{kind} {name!r} is not in the suite{meant}")
    return lines
