from __future__ import annotations

import pytest

from editbench.errors import ConfigError
from editbench.report.comparison import Comparison, Contrast
from editbench.report.gate import parse


def row(name: str, difference: float, interval: tuple[float, float] | None = None) -> Contrast:
    return Contrast(name, 10, 5.0, 5.0 + difference, difference, interval, 2, 5, 3)


RUNS = Comparison(
    "base",
    "new",
    (0, 10),
    categories=(row("physical", -0.4, (-0.9, 0.1)), row("色 彩", 0.2)),
    overall=row("overall", -0.1, (-0.15, -0.05)),
    changes=(),
    unscored=(0, 0),
    settings=(),
    warnings=(),
)


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("drop > 0.2", []),
        ("drop>0.05", ["overall: drop 0.1 > 0.05"]),
        ("drop >= 0.1", ["overall: drop 0.1 >= 0.1"]),
        ("sure-drop > 0", ["overall: sure-drop 0.05 > 0"]),
        ("sure-drop in any > 0", []),
        ("drop in any > 0", ["physical: drop 0.4 > 0"]),
        ("drop in 色 彩 < -0.1", ["色 彩: drop -0.2 < -0.1"]),
        ("losses > 2", ["overall: losses 3 > 2"]),
        ("wins <= 2", ["overall: wins 2 <= 2"]),
    ],
)
def test_a_condition_names_the_rows_that_meet_it(text: str, met: list[str]) -> None:
    assert parse(text).met(RUNS) == met


@pytest.mark.parametrize("text", ["", "drop", "fall > 1", "drop > much", "drop = 1", "> 1"])
def test_what_is_no_condition_is_refused_with_one_that_is(text: str) -> None:
    with pytest.raises(ConfigError, match="does not know") as caught:
        parse(text)
    assert "drop > 0.2" in caught.value.hint


def test_an_unknown_category_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="'social'") as caught:
        parse("drop in social > 1").met(RUNS)
    assert "physical, 色 彩" in caught.value.hint
