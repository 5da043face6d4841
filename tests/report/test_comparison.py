from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editbench.errors import ResultError
from editbench.records import Outcome
from editbench.report.comparison import compare
from editbench.report.files import write_results
from editbench.report.result import RunResult
from editbench.report.statistics import EXACT, bootstrap
from tests.report.builders import META, failed, scored


def run(
    folder: Path,
    name: str,
    outcomes: list[Outcome],
    *,
    judge: str = "qwen",
    rubric: str = "r1",
    steps: int = 28,
    suite: str = "kris",
) -> RunResult:
    """A finished run with these outcomes and settings."""
    home = folder / name
    home.mkdir()
    write_results(home, outcomes, meta=META | {"suite": suite})
    (home / "run.toml").write_text('seed = 3\n[suite]\nlanguage = "en"\n[memory]\nhost = "1GB"\n')
    known = {
        "identities": {"editor": {"args": {"steps": steps}}, "judge": {"model": judge}},
        "rubric": {"name": "default", "digest": rubric},
        "versions": {"torch": "2.13.0"},
    }
    (home / "env.json").write_text(json.dumps(known))
    return RunResult(home)


def test_common_pairs_are_paired_by_id_in_any_order(tmp_path: Path) -> None:
    a = run(tmp_path, "a", [scored(8, 1), scored(4, 2), scored(5, 3, category="social")])
    b = run(tmp_path, "b", [scored(5, 3, category="social"), scored(6, 2), scored(7, 1)])
    found = compare(a, b)
    physical, social = sorted(found.categories, key=lambda row: row.name)
    assert (physical.n, physical.a, physical.b, physical.difference) == (2, 6.0, 6.5, 0.5)
    assert (physical.wins, physical.ties, physical.losses) == (1, 0, 1)
    assert (social.n, social.ties, social.interval) == (1, 1, None)
    assert found.overall and found.overall.n == 3
    assert math.isclose(found.overall.difference, 1 / 3)
    assert [(change.id, change.difference) for change in found.changes] == [("p2", 2), ("p1", -1)]
    assert found.warnings == () and found.settings == ()


def test_pairs_that_one_run_did_not_score_are_left_out_and_said(tmp_path: Path) -> None:
    a = run(tmp_path, "a", [scored(8, 1), failed(2), scored(2, 3), scored(1, 4)])
    b = run(tmp_path, "b", [scored(6, 1), scored(9, 2), failed(3), scored(1, 5)])
    found = compare(a, b)
    assert found.overall and found.overall.n == 1 and found.overall.difference == -2
    assert found.unscored == (1, 1)
    assert found.warnings == (
        "pairs in one run only: 1 in a, 1 in b",
        "pairs left out, as only one run scored them: 1 a, 1 b",
    )


def test_another_judge_rubric_or_suite_makes_a_comparison_doubtful(tmp_path: Path) -> None:
    a = run(tmp_path, "a", [scored(8)])
    b = run(tmp_path, "b", [scored(6)], judge="other", rubric="r2", suite="gedit", steps=50)
    found = compare(a, b)
    assert [difference.name for difference in found.settings] == [
        "editor.args.steps",
        "judge.model",
        "rubric.digest",
    ]
    text = "\n".join(found.warnings)
    assert "judges differ" in text and "rubrics differ" in text and "suites differ" in text


def test_another_editor_is_no_reason_to_doubt(tmp_path: Path) -> None:
    a, b = run(tmp_path, "a", [scored(8)]), run(tmp_path, "b", [scored(6)], steps=50)
    found = compare(a, b)
    assert [(d.name, d.a, d.b) for d in found.settings] == [("editor.args.steps", 28, 50)]
    assert found.warnings == ()


def test_one_id_with_two_instructions_is_no_common_pair(tmp_path: Path) -> None:
    a = run(tmp_path, "a", [scored(8), scored(5, 2)])
    b = run(tmp_path, "b", [scored(6, instruction="something else"), scored(5, 2)])
    found = compare(a, b)
    assert found.overall and found.overall.n == 1 and found.overall.ties == 1
    assert any("asks for different things" in warning for warning in found.warnings)


def test_runs_without_a_common_pair_or_unfinished_are_refused(tmp_path: Path) -> None:
    a, b = run(tmp_path, "a", [scored(8)]), run(tmp_path, "b", [scored(6, 2)])
    with pytest.raises(ResultError, match="no pair in common"):
        compare(a, b)
    (tmp_path / "begun").mkdir()
    with pytest.raises(ResultError, match="not finished"):
        compare(a, RunResult(tmp_path / "begun"))


def test_a_comparison_is_plain_json_and_inert_markdown(tmp_path: Path) -> None:
    name = "物理|<b>"
    a = run(tmp_path, "a", [scored(8, category=name), scored(3, 2, category=name)])
    b = run(tmp_path, "b", [scored(9, category=name), scored(9, 2, category=name)], steps=50)
    found = compare(a, b)
    value = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert value["overall"]["wins"] == 2 and value["changes"][0]["id"] == "p2"
    text = found.to_markdown()
    assert "| 物理\\|&lt;b&gt; | 2 | 5.50 | 9.00 |" in text
    assert "| editor.args.steps | 28 | 50 |" in text


moves = st.lists(st.integers(-1000, 1000).map(lambda n: n / 100), min_size=2, max_size=40)


@given(moves, st.randoms())
def test_the_interval_does_not_depend_on_the_order_of_pairs(
    values: list[float], shuffler: random.Random
) -> None:
    shuffled = values.copy()
    shuffler.shuffle(shuffled)
    found = bootstrap(values)
    assert found == bootstrap(shuffled)
    if found is None:
        assert min(values) == max(values)
    else:
        assert min(values) <= found[0] <= found[1] <= max(values)


def test_the_interval_is_near_the_normal_one_for_many_pairs() -> None:
    source = random.Random(1)
    for n in (EXACT, EXACT + 1):  # corrected, and by percentiles
        values = [source.gauss(0.5, 2) for _ in range(n)]
        low, high = bootstrap(values) or (0, 0)
        mean = math.fsum(values) / n
        assert math.isclose(mean - low, 1.96 * 2 / math.sqrt(n), rel_tol=0.1)
        assert math.isclose(high - mean, 1.96 * 2 / math.sqrt(n), rel_tol=0.1)


def test_the_interval_leans_where_the_values_do() -> None:
    """A percentile interval of these leans less; the correction is what makes it lean more."""
    low, high = bootstrap([0.0] * 18 + [8.0, 9.0]) or (0, 0)
    mean = 17 / 20
    assert high - mean > 1.8 * (mean - low) > 0
