from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from editbench.engine.codec import available
from editbench.engine.keys import pixel_hash
from editbench.engine.memory import pixel_bytes
from editbench.engine.spill import Made, Spill, SpillStats
from editbench.engine.store import Store
from editbench.errors import StoreError, StoreFull

SIDE = 40
PIXELS = SIDE * SIDE * 3


def picture(seed: int, *, side: int = SIDE) -> Image.Image:
    return Image.frombytes("RGB", (side, side), random.Random(seed).randbytes(side * side * 3))


def same(one: Image.Image, other: Image.Image) -> bool:
    return pixel_hash(one) == pixel_hash(other)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", ballast=0) as opened:
        yield opened


def spill_of(store: Store, *, images: int = 2) -> Spill:
    return Spill(store, host_limit=images * PIXELS)


def put(spill: Spill, key: str, image: Image.Image) -> None:
    spill.put(key, image, seconds=1.5, provenance={})


@pytest.mark.parametrize("images", [0, 2])
def test_an_edit_comes_back_with_what_is_known_of_it(store: Store, images: int) -> None:
    spill = spill_of(store, images=images)
    edit = spill.put("e:1", picture(1), seconds=1.5, provenance={"torch": "2"})
    assert (edit.key, edit.width, edit.height, edit.seconds) == ("e:1", SIDE, SIDE, 1.5)
    assert edit.pixels == pixel_hash(picture(1))
    record = store.get("e:1")
    assert record is not None
    assert edit.bytes == len(record.payload)
    assert record.header["provenance"] == {"torch": "2"}
    for reader in (spill, spill_of(store)):
        found = reader.get("e:1")
        assert found is not None
        assert found.edit == edit
        assert same(found.image, picture(1))
        assert found.image.info == {}
        assert reader.facts("e:1") == edit
        assert list(reader.all_facts()) == [("e:1", edit)]


def test_an_edit_that_is_not_there_is_none(store: Store) -> None:
    spill = spill_of(store)
    assert spill.get("e:1") is None
    assert spill.facts("e:1") is None
    assert spill.drop("e:1") == 0
    assert spill.stats() == SpillStats(0, 0, 0)


def lose_the_disk(store: Store) -> None:
    """Leave nothing that can be read but what is in memory."""
    for path in (store.folder / "values").iterdir():
        path.unlink()
    store._index.rows("UPDATE Cache SET value = x'00' WHERE filename IS NULL")


def test_the_edits_whose_turn_comes_first_are_in_memory(store: Store) -> None:
    spill = spill_of(store, images=2)
    for n in range(3):
        put(spill, f"e:{n}", picture(n))
    assert spill.stats() == SpillStats(2, 2 * PIXELS, store.used())
    lose_the_disk(store)
    for n in (0, 1):
        assert spill.get(f"e:{n}") is not None
    assert spill.get("e:2") is None


def test_reading_an_edit_makes_room_for_another(store: Store) -> None:
    spill = spill_of(store, images=1)
    put(spill, "e:0", picture(0))
    assert spill.get("e:0") is not None
    assert spill.stats()[:2] == (0, 0)
    put(spill, "e:1", picture(1))
    lose_the_disk(store)
    found = spill.get("e:1")
    assert found is not None and same(found.image, picture(1))


def test_an_image_larger_than_the_limit_is_not_kept(store: Store) -> None:
    spill = spill_of(store, images=1)
    put(spill, "e:1", picture(1))
    put(spill, "e:2", picture(2, side=50))  # more bytes than the limit
    put(spill, "e:3", picture(3, side=90))  # more pixels than the limit has bytes
    assert spill.stats()[:2] == (1, PIXELS)
    for key, image in (("e:2", picture(2, side=50)), ("e:3", picture(3, side=90))):
        found = spill.get(key)
        assert found is not None
        assert same(found.image, image)


def test_sources_come_with_an_edit_while_memory_has_room_for_them(store: Store) -> None:
    source = picture(9)
    room = PIXELS + pixel_bytes(*source.size)  # an edit with its source
    spill = Spill(store, host_limit=room + PIXELS)
    spill.put_many([Made(f"e:{n}", picture(n), 1.5, {}, (source,)) for n in range(2)])
    assert spill.stats()[:2] == (2, room + PIXELS)
    found = [spill.get(f"e:{n}") for n in range(2)]
    assert [each and each.sources for each in found] == [(source,), ()]
    assert spill.stats()[:2] == (0, 0)
    again = spill.get("e:0")
    assert again and again.sources == ()  # the store has none


def test_changing_an_image_changes_nothing_that_is_kept(store: Store) -> None:
    spill = spill_of(store)
    image = picture(1)
    put(spill, "e:1", image)
    image.paste(0, (0, 0, SIDE, SIDE))
    for _ in range(2):
        found = spill.get("e:1")
        assert found is not None
        assert same(found.image, picture(1))
        found.image.paste(0, (0, 0, SIDE, SIDE))


def test_the_edit_that_was_stored_first_is_the_one_returned(store: Store) -> None:
    first, second = spill_of(store), spill_of(store)
    one = first.put("e:1", picture(1), seconds=1, provenance={})
    assert second.put("e:1", picture(2), seconds=2, provenance={}) == one
    for spill in (first, second):
        found = spill.get("e:1")
        assert found is not None
        assert same(found.image, picture(1))


def test_a_damaged_edit_is_replaced_by_the_one_that_is_put(store: Store) -> None:
    spill = spill_of(store, images=0)
    image = picture(1, side=200)
    put(spill, "e:1", image)
    (path,) = (store.folder / "values").iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    put(spill, "e:1", image)
    assert store.damaged == 1
    found = spill.get("e:1")
    assert found is not None
    assert same(found.image, image)


def test_a_damaged_edit_that_cannot_be_replaced_is_an_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    spill = spill_of(store, images=0)
    put(spill, "e:1", picture(1))
    store._index.rows("UPDATE Cache SET value = x'00'")

    def full(key: str, only: object) -> int:
        raise StoreFull("the disk is full")

    monkeypatch.setattr(store._index, "delete", full)
    with pytest.raises(StoreError, match="cannot be replaced"):
        put(spill, "e:1", picture(1))


def test_dropping_an_edit_frees_memory_and_disk(store: Store) -> None:
    spill = spill_of(store)
    put(spill, "e:1", picture(1))
    assert spill.drop("e:1") > 0
    assert spill.get("e:1") is None
    assert spill.stats() == SpillStats(0, 0, 0)


def test_a_full_store_keeps_nothing_that_is_not_durable(tmp_path: Path) -> None:
    with Store.open(tmp_path, budget=6000, ballast=0) as store:
        spill = spill_of(store)
        put(spill, "e:1", picture(1))
        with pytest.raises(StoreFull):
            put(spill, "e:2", picture(2))
        assert spill.get("e:2") is None
        assert spill.stats().images == 1
        assert spill.get("e:1") is not None


def test_pixels_that_decode_differently_are_an_error_and_not_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    spill = spill_of(store, images=0)
    put(spill, "e:1", picture(1))
    for wrong in (picture(2), OSError("cannot identify"), ValueError("expected RGB")):

        def broken(encoded: object, wrong: object = wrong) -> object:
            if isinstance(wrong, Exception):
                raise wrong
            return wrong

        with monkeypatch.context() as patch:
            patch.setattr("editbench.engine.spill.decode", broken)
            with pytest.raises(StoreError, match="decodes to other pixels") as caught:
                spill.get("e:1")
            assert "webp" in caught.value.hint
    assert spill.get("e:1") is not None


@pytest.mark.parametrize("codec", available())
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "F"])
def test_the_codec_shows_in_the_size_and_nowhere_else(store: Store, codec: str, mode: str) -> None:
    image = picture(1).convert(mode)
    spill = Spill(store, host_limit=10**6, codec=codec)  # type: ignore[arg-type]
    edit = spill.put("e:1", image, seconds=0, provenance={})
    assert edit.pixels == pixel_hash(image)
    fresh, kept = spill_of(store).get("e:1"), spill.get("e:1")
    assert fresh is not None
    assert kept is not None
    for found in (fresh, kept):
        assert found.edit == edit
        assert found.image.tobytes() == image.tobytes()
        assert found.image.convert("RGB").tobytes() == image.convert("RGB").tobytes()


def test_threads_may_put_and_get_at_once(store: Store) -> None:
    spill = spill_of(store, images=3)
    problems: list[object] = []

    def work(seed: int) -> None:
        try:
            for n in random.Random(seed).choices(range(8), k=40):
                put(spill, f"e:{n}", picture(n))
                found = spill.get(f"e:{n}")
                if found is None or not same(found.image, picture(n)):
                    problems.append(n)
                if spill.stats().in_memory > 3 * PIXELS:
                    problems.append(spill.stats())
        except Exception as exc:  # a thread's error would otherwise go unnoticed
            problems.append(exc)
        finally:
            store.close()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert spill.stats()[:2] == (0, 0)
