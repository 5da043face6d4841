from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from editbench.engine.facts import FactsTable
from editbench.records import Facts

IMAGES = st.lists(
    st.tuples(
        st.binary(min_size=32, max_size=32).map(bytes.hex),
        st.tuples(st.integers(1, 2**31), st.integers(1, 2**31)),
    ),
    max_size=3,
)
FACTS = IMAGES.map(lambda images: Facts(tuple(p for p, _ in images), tuple(s for _, s in images)))


@given(st.lists(FACTS | st.text(), max_size=8))
def test_a_table_returns_what_was_appended(rows: list[Facts | str]) -> None:
    table = FactsTable()
    for row in rows:
        table.append(row)
    assert list(table) == rows and table[:] == rows and len(table) == len(rows)
    assert [table[-1 - index] for index in range(len(rows))] == rows[::-1]
