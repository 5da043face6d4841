from __future__ import annotations

import json
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editbench.suites.formulas import geometric, mean, minimum, weighted
from tests.suites.builders import shared

#: As the authors of the replies print them: mean and population SD of SC, PQ and O.
PUBLISHED = {
    "InstructPix2Pix": ((4.3184, 4.4914), (5.0112, 1.4338), (3.2488, 3.2944)),
    "MagicBrush": ((6.2626, 4.3252), (4.8547, 1.3746), (4.5444, 3.1431)),
    "SDEdit": ((3.7039, 4.5374), (5.3128, 1.2695), (2.8192, 3.3454)),
}


@pytest.mark.parametrize("editor", PUBLISHED)
def test_the_published_totals_of_viescore_come_out(editor: str) -> None:
    sides = []
    for name in ("SC", "PQ"):
        path = shared(f"judge_replies/gemini/{editor}.{name}.json")
        replies = json.loads(path.read_text(encoding="utf-8"))
        sides.append({uid: minimum(reply["score"]) for uid, reply in replies.items()})
    following, quality = sides
    assert following.keys() == quality.keys() and len(following) == 179
    columns = (
        list(following.values()),
        list(quality.values()),
        [geometric([following[uid], quality[uid]]) for uid in following],
    )
    for column, (center, spread) in zip(columns, PUBLISHED[editor], strict=True):
        assert round(mean(column), 4) == center
        assert round(statistics.pstdev(column), 4) == spread


values = st.lists(st.floats(0, 10), min_size=1, max_size=8)


@given(values)
def test_a_formula_never_leaves_the_range_of_its_values(values: list[float]) -> None:
    for formula in (minimum, mean, geometric):
        assert min(values) * (1 - 1e-9) <= formula(values) <= max(values) * (1 + 1e-9) + 1e-30


@given(values)
def test_equal_weights_are_the_mean(values: list[float]) -> None:
    assert weighted(values, [3.0] * len(values)) == pytest.approx(mean(values), abs=1e-9)


def test_a_weight_counts() -> None:
    assert weighted([10, 0], [3, 1]) == 7.5
    assert geometric([9, 4]) == pytest.approx(6)
    assert geometric([10, 10, 0]) == 0
