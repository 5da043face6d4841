from __future__ import annotations

import errno
import os
import pickle
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import diskcache
import pytest

from editbench.engine import repair
from editbench.engine.frame import Record
from editbench.engine.repair import ASIDE
from editbench.engine.store import Store
from editbench.errors import StoreError, StoreFull

LARGE = random.Random(2).randbytes(100_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", ballast=0) as opened:
        opened.add("e:1", {"n": 1}, LARGE)
        opened.add("v:1", {"n": 2}, b"small")
        yield opened


def the_file(store: Store) -> Path:
    (path,) = (store.folder / "values").iterdir()
    return path


def change(folder: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "cache.db")) as con, con:
        con.execute(sql, values)


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 4]))


def is_redone(store: Store, key: str, payload: bytes) -> None:
    """A damaged record is a miss that is counted and deleted, and can be stored again."""
    assert [one.name for one in store.check() if one.problem] == [key]
    assert store.get(key) is None
    assert store.damaged == 1
    assert key not in store
    assert store.add(key, {"again": True}, payload)
    assert store.get(key) == Record({"again": True}, payload)
    assert store.used() == sum(one.bytes for one in store.check())
    assert store.damaged == 1


@pytest.mark.parametrize("at", [0, 10, 25, 40, 60, 200, 50_000, -1])
def test_a_flipped_bit_in_a_value_file_is_found(store: Store, at: int) -> None:
    flip(the_file(store), at % the_file(store).stat().st_size)
    is_redone(store, "e:1", LARGE)


@pytest.mark.parametrize("size", [0, 1, 30, 1000, 99_999, 200_000])
def test_a_value_file_of_another_length_is_found(store: Store, size: int) -> None:
    os.truncate(the_file(store), size)
    is_redone(store, "e:1", LARGE)


def test_a_missing_value_file_is_found(store: Store) -> None:
    the_file(store).unlink()
    is_redone(store, "e:1", LARGE)


def test_the_value_of_another_record_is_not_taken(store: Store) -> None:
    store.add("e:2", {}, LARGE[::-1])
    mine, other = sorted((store.folder / "values").iterdir())
    mine.write_bytes(other.read_bytes())
    is_redone(store, "e:1", LARGE)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE Cache SET value = CAST('x' AS BLOB) WHERE key = 'v:1'",
        "UPDATE Cache SET value = 'text' WHERE key = 'v:1'",
        "UPDATE Cache SET value = NULL WHERE key = 'v:1'",
        "UPDATE Cache SET value = substr(value, 1, 40) WHERE key = 'v:1'",
        "UPDATE Cache SET mode = 3 WHERE key = 'v:1'",
        "UPDATE Cache SET mode = 0 WHERE key = 'v:1'",
    ],
)
def test_a_damaged_row_is_found(store: Store, sql: str) -> None:
    change(store.folder, sql)
    is_redone(store, "v:1", b"small")


@pytest.mark.parametrize("tag", ["''", "NULL", "'0123456789abcdef {}'", "CAST(X'7bff' AS TEXT)"])
@pytest.mark.parametrize("key", ["e:1", "v:1"])
@pytest.mark.parametrize("at_once", [False, True])
def test_a_damaged_header_is_found(store: Store, key: str, tag: str, at_once: bool) -> None:
    whole = dict(store.headers(""))
    assert store.headers_of(["e:1", "e:9", "v:1"]) == whole
    del whole[key]
    change(store.folder, f"UPDATE Cache SET tag = {tag} WHERE key = '{key}'")
    assert [one.name for one in store.check() if one.problem] == [key]
    found = store.headers_of(["v:1", "e:1"]) if at_once else dict(store.headers(""))
    assert found == whole
    assert store.header(key) is None
    assert store.damaged == 1
    assert key not in store


@pytest.mark.parametrize(
    "key", ["'e:2'", "CAST(X'653a31ff' AS TEXT)", "'e:1 '", "CAST('e:1' AS BLOB)", "7"]
)
def test_a_damaged_key_gives_nothing_wrong(store: Store, key: str) -> None:
    change(store.folder, f"UPDATE Cache SET key = {key} WHERE key = 'e:1'")
    assert any(one.problem for one in store.check())
    assert store.get("e:1") is None
    assert store.get("e:2") is None
    assert [name for name, _ in store.headers("")] == ["v:1"]
    assert store.add("e:1", {}, LARGE)
    assert store.get("e:1") == Record({}, LARGE)


def test_a_row_cannot_name_a_file_that_is_not_ours(store: Store) -> None:
    precious = store.folder.parent / "precious.txt"
    precious.write_text("do not touch")
    for name in ("../precious.txt", str(precious), "values/../../precious.txt", "cache.db"):
        change(store.folder, "UPDATE Cache SET filename = ? WHERE key = 'e:1'", name)
        assert store.get("e:1") is None
        assert store.add("e:1", {}, LARGE)
    assert store.damaged == 4
    assert precious.read_text() == "do not touch"
    assert (store.folder / "cache.db").exists()


def test_a_link_in_place_of_a_value_file_is_not_followed(store: Store) -> None:
    path = the_file(store)
    elsewhere = store.folder.parent / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.raises(StoreError, match="could not read"):
        store.get("e:1")
    assert elsewhere.exists()


class Bomb:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (os.environ["EDITBENCH_BOMB"],)


def test_a_planted_pickle_is_never_opened(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITBENCH_BOMB", str(tmp_path / "went-off"))
    bomb = pickle.dumps(Bomb())
    plain = diskcache.Cache(str(store.folder), disk=diskcache.Disk, disk_min_file_size=10**6)
    plain.set("e:inline", Bomb())
    plain.set(("e", "key"), b"x")
    plain.reset("disk_min_file_size", 0)
    plain.set("e:file", Bomb())
    plain.close()
    change(store.folder, "INSERT INTO Cache (key, raw) VALUES (?, 0)", bomb)
    for key in ("e:inline", "e:file"):
        with pytest.raises(StoreError, match="did not write; it was not opened") as caught:
            store.get(key)
        assert "delete the folder" in caught.value.hint
        assert store.header(key) is None or store.get(key) is None
    list(store.headers(""))
    problems = [one.problem for one in store.check() if one.problem]
    assert any("rows that editbench did not write" in problem for problem in problems)
    with Store.open(store.folder, ballast=0) as again:
        assert again.get("e:1") == Record({"n": 1}, LARGE)
        with pytest.raises(StoreError, match="a key that editbench did not write"):
            list(again._index._cache)  # type: ignore[union-attr]
    assert not (tmp_path / "went-off").exists()
    assert bomb


def test_an_error_of_the_disk_is_never_a_miss(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for code in (errno.EIO, errno.EACCES, errno.EMFILE, errno.ESTALE):

        def fail(path: Path, code: int = code) -> bytes:
            raise OSError(code, os.strerror(code), str(path))

        with monkeypatch.context() as patch:
            patch.setattr("editbench.engine.disk.read_file", fail)
            with pytest.raises(StoreError, match="could not read"):
                store.get("e:1")
            assert [bool(one.problem) for one in store.check()] == [True, False]
    assert store.damaged == 0
    assert store.get("e:1") == Record({"n": 1}, LARGE)


def test_without_file_descriptors_reading_is_an_error(store: Store) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    next_file = os.open(os.devnull, os.O_RDONLY)
    os.close(next_file)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (next_file, hard))
        with pytest.raises(StoreError, match="Too many open files"):
            store.get("e:1")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert store.get("e:1") is not None


def test_a_record_deleted_while_it_is_read_is_a_plain_miss(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = store._read

    def late(row: object) -> bytes:
        monkeypatch.undo()
        store.delete("e:1")
        return read(row)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "_read", late)
    assert store.get("e:1") is None
    assert store.damaged == 0


def test_a_record_replaced_while_it_is_read_is_found(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = store._read

    def late(row: object) -> bytes:
        monkeypatch.undo()
        store.delete("e:1")
        store.add("e:1", {"n": 3}, LARGE)
        return read(row)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "_read", late)
    assert store.get("e:1") == Record({"n": 3}, LARGE)
    assert store.damaged == 0


def test_a_good_record_is_not_deleted_for_its_damaged_forerunner(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip(the_file(store), 5000)
    read = store._read

    def late(row: object) -> bytes:
        frame = read(row)  # type: ignore[arg-type]
        monkeypatch.undo()
        store.delete("e:1")
        store.add("e:1", {"n": 3}, LARGE)
        return frame

    monkeypatch.setattr(store, "_read", late)
    assert store.get("e:1") is None
    assert store.get("e:1") == Record({"n": 3}, LARGE)


def test_a_damaged_record_in_a_store_that_is_read_only_is_a_counted_miss(store: Store) -> None:
    flip(the_file(store), 5000)
    with Store.open(store.folder, read_only=True) as reader:
        assert reader.get("e:1") is None
        assert reader.damaged == 1
    assert "e:1" in store


def test_a_missing_file_in_a_store_that_is_read_only_is_a_counted_miss(store: Store) -> None:
    the_file(store).unlink()
    with Store.open(store.folder, read_only=True) as reader:
        assert reader.get("e:1") is None
        assert reader.damaged == 1


def test_a_missing_index_is_made_again_from_the_value_files(store: Store) -> None:
    store.add("e:2", {"n": 3}, LARGE[::-1])
    store.close()
    (store.folder / "cache.db").unlink()
    torn = store.folder / "values" / f"e=3-{'0' * 32}.val"
    torn.write_bytes(b"EBF\x01 and no more")
    with Store.open(store.folder, ballast=0) as again:
        assert "made anew: 2 records" in again.notices[0]
        assert again.get("e:1") == Record({"n": 1}, LARGE)
        assert again.get("e:2") == Record({"n": 3}, LARGE[::-1])
        assert again.get("v:1") is None  # it lived in its row
        assert again.used() == sum(one.bytes for one in again.check() if not one.problem)
    with Store.open(store.folder, ballast=0) as again:
        assert again.notices == []


def corrupt(path: Path, start: int, end: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(random.Random(3).randbytes(end - start))


@pytest.mark.parametrize("cut", ["head", "all", "emptied", "middle", "short"])
def test_a_damaged_index_is_made_again(store: Store, cut: str) -> None:
    small = {f"v:{n}": {"n": n} for n in range(300)}
    store.add_many((key, header, b"x" * 500) for key, header in small.items() if key != "v:1")
    small["v:1"] = {"n": 2}
    store.close()
    path = store.folder / "cache.db"
    size = path.stat().st_size
    if cut == "head":
        corrupt(path, 0, 4096)
    elif cut == "all":
        corrupt(path, 0, size)
    elif cut == "emptied":
        os.truncate(path, 0)
    elif cut == "middle":
        corrupt(path, size // 2, size // 2 + 20_000)
    else:
        os.truncate(path, size * 3 // 4)
    with Store.open(store.folder, ballast=0) as again:
        assert "records" in again.notices[0]
        assert again.get("e:1") == Record({"n": 1}, LARGE)
        left = dict(again.headers("v:"))
        assert left.items() <= small.items()
        if cut == "middle":
            assert len(left) > 100
        if cut != "emptied":
            assert (store.folder / ASIDE).exists()
            assert "is kept as" in again.notices[0]
        assert not any(one.problem for one in again.check())
        assert again.add("e:new", {}, LARGE)
    with Store.open(store.folder, ballast=0) as again:
        assert again.notices == []
        assert dict(again.headers("v:")) == left


def test_repair_that_is_interrupted_is_done_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()
    corrupt(store.folder / "cache.db", 0, 100)

    def interrupt(*args: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(repair, "rebuild", interrupt)
        with pytest.raises(KeyboardInterrupt):
            Store.open(store.folder, ballast=0)
    with Store.open(store.folder, ballast=0) as again:
        assert again.get("e:1") == Record({"n": 1}, LARGE)


def test_an_old_copy_of_the_index_loses_no_value_file(store: Store) -> None:
    store.close()
    shutil.copyfile(store.folder / "cache.db", store.folder.parent / "old.db")
    with Store.open(store.folder, ballast=0) as again:
        again.delete("e:1")
        again.add("e:2", {"new": True}, LARGE)
        again.add("v:2", {"new": True})
    shutil.copyfile(store.folder.parent / "old.db", store.folder / "cache.db")
    with Store.open(store.folder, ballast=0) as again:
        assert again.get("e:1") is None
        assert again.damaged == 1
        assert again.sweep(before=2**40).adopted == 1
        assert again.get("e:2") == Record({"new": True}, LARGE)
        assert again.get("v:1") == Record({"n": 2}, b"small")
        assert again.add("v:2", {"newer": True})
        assert not any(one.problem for one in again.check())


def test_an_old_copy_under_a_newer_log_returns_nothing_wrong(store: Store) -> None:
    written = {"e:1": LARGE, "v:1": b"small"}
    store.close()
    shutil.copyfile(store.folder / "cache.db", store.folder.parent / "old.db")
    again = Store.open(store.folder, ballast=0)
    for n in range(200):
        written[f"v:n{n}"] = random.Random(n).randbytes(2000)
        again.add(f"v:n{n}", {}, written[f"v:n{n}"])
    copy = store.folder.parent / "copy"
    shutil.copytree(store.folder, copy, ignore=shutil.ignore_patterns("*-shm"))
    again.close()
    shutil.copyfile(store.folder.parent / "old.db", copy / "cache.db")
    with Store.open(copy, ballast=0) as mixed:
        for key, payload in written.items():
            record = mixed.get(key)
            assert record is None or record.payload == payload
        assert mixed.get("e:1") == Record({"n": 1}, LARGE)


def test_a_flipped_bit_anywhere_in_the_index_returns_nothing_wrong(
    store: Store, tmp_path: Path
) -> None:
    for n in range(30):
        store.add(f"v:n{n}", {"n": n}, random.Random(n).randbytes(500))
    written = {key: store.get(key) for key, _ in store.headers("")}
    store.close()
    index = (store.folder / "cache.db").read_bytes()
    copy = tmp_path / "copy"
    # The schema and SQLite's own header take the first pages, where a bit does the most.
    for bit in random.Random(5).sample(range(8 * 200), 30) + list(
        range(1600, 8 * len(index), 20011)
    ):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(store.folder, copy)
        content = bytearray(index)
        content[bit // 8] ^= 1 << bit % 8
        (copy / "cache.db").write_bytes(content)
        try:
            damaged = Store.open(copy, ballast=0)
        except StoreError as exc:
            assert "newer editbench" in str(exc)  # the bit was in the number of the format
            continue
        with damaged:
            for key, header in damaged.headers(""):
                record = written[key]
                assert record is not None
                assert header == record.header
            for key, record in written.items():
                assert damaged.get(key) in (None, record)
                assert record is not None
                damaged.add(key, record.header, record.payload)
                assert damaged.get(key) == record


def test_a_damaged_index_is_named_when_it_can_only_be_read(store: Store) -> None:
    store.close()
    corrupt(store.folder / "cache.db", 0, 4096)
    with pytest.raises(StoreError, match="could not open") as caught:
        Store.open(store.folder, read_only=True)
    assert "rebuilt" in caught.value.hint


def test_an_index_that_was_not_finished_is_not_taken_for_an_empty_store(store: Store) -> None:
    store.close()
    os.truncate(store.folder / "cache.db", 0)
    with pytest.raises(StoreError, match="was not finished"):
        Store.open(store.folder, read_only=True)


def test_a_damaged_record_that_a_full_disk_keeps_is_still_a_miss(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip(the_file(store), 5000)

    def full(key: str, only: object) -> int:
        raise StoreFull("the disk is full")

    monkeypatch.setattr(store._index, "delete", full)
    assert store.get("e:1") is None
    assert store.damaged == 1
