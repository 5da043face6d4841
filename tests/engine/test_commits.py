from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from editbench.engine.commits import Row, add_together
from editbench.engine.disk import INLINE_LIMIT
from editbench.engine.store import Store
from editbench.errors import StoreFull


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", ballast=0) as opened:
        yield opened


def rows(*sizes: int) -> list[Row]:
    return [Row(f"e:{n}", {"number": n}, bytes(size)) for n, size in enumerate(sizes)]


def test_small_and_large_records_are_all_there_afterwards(store: Store) -> None:
    made = rows(0, 10, INLINE_LIMIT // 2 - 1, INLINE_LIMIT // 2, INLINE_LIMIT, 200_000)
    assert add_together(store, made) == len(made)
    for row in made:
        record = store.get(row.key)
        assert record is not None
        assert (record.header, record.payload) == (row.header, row.payload)


def test_small_records_share_a_commit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    add_many = store._index.add_many  # type: ignore[union-attr]
    monkeypatch.setattr(
        store._index, "add_many", lambda ready: commits.append(len(ready)) or add_many(ready)
    )
    add_together(store, rows(10, 100_000, 10, 10))
    assert commits == [3]


def test_only_what_is_new_is_counted(store: Store) -> None:
    made = rows(10, 100_000, 10, 100_000)
    add_together(store, made[:2])
    assert add_together(store, made) == 2
    assert add_together(store, made) == 0
    assert add_together(store, []) == 0


def test_only_vital_records_may_use_what_is_left(tmp_path: Path) -> None:
    with Store.open(tmp_path, budget=100, ballast=0) as store:
        with pytest.raises(StoreFull):
            add_together(store, rows(200, 200))
        assert add_together(store, rows(200, 200), vital=True) == 2
