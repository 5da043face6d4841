from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from editbench.errors import SuiteError
from editbench.suites.demo import DemoSuite
from editbench.suites.look import Suite, look
from editbench.suites.select import select
from editbench.suites.table import TableSuite
from tests.suites.builders import row, write_rows


def ids(suite: Suite) -> list[str]:
    return [suite[index].id for index in range(len(suite))]


def test_nothing_asked_for_is_the_suite_itself() -> None:
    suite = DemoSuite()
    assert select(suite) is suite


def test_categories_and_limit_keep_the_order() -> None:
    view = select(DemoSuite(), category=["causal", "physical"], limit=2)
    assert ids(view) == ["physical-1", "physical-2", "causal-1", "causal-2"]
    assert view.name == "demo"
    assert view.read(view[2].sources[0]).startswith(b"\x89PNG")


def test_pairs_are_chosen_by_id() -> None:
    assert ids(select(DemoSuite(), pair=["social-3", "physical-8"])) == ["physical-8", "social-3"]


def test_a_view_of_a_view_counts_within_it() -> None:
    view = select(select(DemoSuite(), category=["social"]), limit=3)
    assert ids(view) == ["social-1", "social-2", "social-3"]
    with pytest.raises(IndexError):
        view[3]


def test_every_unknown_name_is_listed_with_near_ones() -> None:
    with pytest.raises(SuiteError) as caught:
        select(DemoSuite(), category=["casual", "causal", "zzz"], pair=["social-9"])
    first, second, third = caught.value.problems
    assert first == "category 'casual' is not in the suite, did you mean 'causal'?"
    assert second == "category 'zzz' is not in the suite"
    assert third.startswith("pair 'social-9' is not in the suite, did you mean 'social-")
    assert caught.value.hint.startswith("its categories are physical (8), environmental (7)")


def test_a_pair_outside_the_selected_categories_is_said_so() -> None:
    with pytest.raises(SuiteError, match="nothing is left of demo"):
        select(DemoSuite(), category=["causal"], pair=["social-1"])


def test_a_broken_row_is_not_hidden_by_a_category(tmp_path: Path) -> None:
    rows: list[dict[str, Any] | str] = [row(0), "{broken", row(2, category="other"), row(3)]
    suite = TableSuite(write_rows(tmp_path / "x.jsonl", rows))
    view = select(suite, category=["color"], limit=1)
    assert [look(view, index).place for index in range(len(view))] == ["x.jsonl:1", "x.jsonl:2"]
    assert ids(select(suite, pair=["p3"])) == ["p3"]
