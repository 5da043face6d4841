from __future__ import annotations

from pathlib import Path

from editbench.engine.costs import CostBook
from editbench.engine.store import Store


def book(store: Store, *, device: str = "cuda:0", editor: str = "a") -> CostBook:
    return CostBook(store, device, editor={"model": editor}, judge={"model": "b"})


def test_costs_are_remembered_and_replaced(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        assert book(store).read() == (None, None, None)
        book(store).write("edit", 2.0)
        book(store).write("edit", 1.5)
        book(store).write("move", 5e9)
        book(store).write("score bytes", 7e9)
        assert book(store).read() == (1.5, None, 5e9)
        assert (book(store).working("score"), book(store).working("edit")) == (7_000_000_000, None)


def test_another_model_or_device_has_costs_of_its_own(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        book(store).write("edit", 2.0)
        book(store).write("score", 1.0)
        assert book(store, editor="c").read().edit is None
        assert book(store, editor="c").read().score == 1.0
        assert book(store, device="cpu").read().edit is None


def test_a_store_that_cannot_be_written_forgets(tmp_path: Path) -> None:
    Store.open(tmp_path / "store").close()
    with Store.open(tmp_path / "store", read_only=True) as store:
        book(store).write("edit", 2.0)
        assert book(store).read().edit is None
