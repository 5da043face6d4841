from __future__ import annotations

import errno
import logging
import os
import random
import shutil
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import diskcache
import pytest

from editbench.engine import opening
from editbench.engine.disk import FrameDisk, ValueFile, key_of
from editbench.engine.frame import Record
from editbench.engine.locks import alone, shared
from editbench.engine.repair import Swept
from editbench.engine.store import Store
from editbench.errors import StoreError, StoreFull

LARGE = random.Random(1).randbytes(100_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", ballast=0) as opened:
        yield opened


def reopened(store: Store, **settings: object) -> Store:
    store.close()
    return Store.open(store.folder, ballast=0, **settings)  # type: ignore[arg-type]


def value_files(store: Store) -> list[Path]:
    return sorted((store.folder / "values").iterdir())


@pytest.mark.parametrize("payload", [b"", b"small", LARGE])
def test_what_is_added_comes_back_after_reopening(store: Store, payload: bytes) -> None:
    header = {"seconds": 0.1, "nested": {"list": [1, None, True, "ü"]}}
    assert store.add("e:1", header, payload)
    with reopened(store) as again:
        assert again.get("e:1") == Record(header, payload)
        assert again.header("e:1") == header
        assert "e:1" in again
        assert again.notices == []


def test_what_was_never_added_is_not_there(store: Store) -> None:
    assert store.get("e:1") is None
    assert store.header("e:1") is None
    assert "e:1" not in store
    assert list(store.headers("e:")) == []
    assert store.delete("e:1") == 0
    assert store.used() == 0


@pytest.mark.parametrize("payload", [b"small", LARGE])
def test_the_first_to_add_a_key_wins(store: Store, payload: bytes) -> None:
    assert store.add("e:1", {"who": 1}, payload)
    assert not store.add("e:1", {"who": 2}, LARGE[::-1])
    assert store.get("e:1") == Record({"who": 1}, payload)
    assert len(value_files(store)) == (payload == LARGE)


@pytest.mark.parametrize("payload", [b"small", LARGE])
def test_the_first_wins_even_when_the_second_looked_before(store: Store, payload: bytes) -> None:
    index = store._index
    assert store.add("e:1", {}, payload)
    frame = index.disk.fetch(*_stored(store, "e:1"), False)
    assert not index.add("e:1", "tag", frame)  # type: ignore[union-attr]
    assert store.get("e:1") == Record({}, payload)
    assert len(value_files(store)) == (payload == LARGE)


def _stored(store: Store, key: str) -> tuple[int, str, object]:
    row = store._index.row(key)
    assert row is not None
    return row.mode, row.file, row.value


def test_headers_are_found_by_prefix_in_order_without_value_files(store: Store) -> None:
    store.add("e:b", {"n": 2}, LARGE)
    store.add("e:a", {"n": 1})
    store.add("v:a", {"n": 3})
    shutil.rmtree(store.folder / "values")
    assert list(store.headers("e:")) == [("e:a", {"n": 1}), ("e:b", {"n": 2})]
    assert [key for key, _ in store.headers("")] == ["e:a", "e:b", "v:a"]
    assert store.header("e:b") == {"n": 2}


def test_headers_pass_over_more_than_one_page(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("editbench.engine.index._PAGE_ROWS", 3)
    names = [f"e:{n}{'x' * (n % 3)}" for n in range(10)]
    store.add_many((name, {}, b"") for name in names)
    assert [key for key, _ in store.headers("e:")] == sorted(names)


def test_small_records_are_added_together(store: Store) -> None:
    store.add("v:1", {"old": True})
    used = store.used()
    assert store.add_many((f"v:{n}", {"n": n}, b"x" * n) for n in range(150)) == 149
    assert store.add_many([("v:a", {}, b"first"), ("v:a", {}, b"second")]) == 1
    assert store.header("v:1") == {"old": True}
    sizes = [size for key, size, _ in store.records("") if key != "v:1"]
    assert (len(sizes), store.used()) == (150, used + sum(sizes))
    with reopened(store) as again:
        assert again.get("v:149") == Record({"n": 149}, b"x" * 149)
        assert again.get("v:a") == Record({}, b"first")


def test_diskcache_writes_the_same_row_for_one_record_as_we_do_for_several(store: Store) -> None:
    alone, together = "v:alone", "v:group"
    store.add(alone, {"n": 1}, b"same")
    store.add_many([(together, {"n": 1}, b"same")])
    columns = [name for _, name, *_ in store._index.rows("PRAGMA table_info(Cache)")]
    found = [
        dict(
            zip(
                columns, store._index.rows("SELECT * FROM Cache WHERE key = ?", key)[0], strict=True
            )
        )
        for key in (alone, together)
    ]
    for row in found:
        assert row["access_time"] == row["store_time"] > 0
        assert row["size"] == len(row["value"])
    own = {"rowid", "key", "store_time", "access_time", "tag", "value"}  # checksums cover the key
    one, other = ({name: row[name] for name in columns if name not in own} for row in found)
    assert one == other


def test_a_group_is_added_whole_or_not_at_all(store: Store) -> None:
    with pytest.raises(ValueError, match="add it alone"):
        store.add_many([("v:1", {}, b""), ("v:2", {}, LARGE)])
    with pytest.raises(ValueError, match="a key is"):
        store.add_many([("v:1", {}, b""), ("v 2", {}, b"")])
    assert list(store.headers("")) == []


@pytest.mark.parametrize("key", ["", "a/b", "../x", "ü", "a" * 151, "a b", "a\0b", "a=b"])
def test_a_key_that_cannot_name_a_file_is_refused(store: Store, key: str) -> None:
    with pytest.raises(ValueError, match="a key is"):
        store.add(key, {})


def test_a_key_that_is_no_text_is_refused(store: Store) -> None:
    with pytest.raises(TypeError, match="got a tuple"):
        store.add(("e", 1), {})  # type: ignore[arg-type]


def test_deleting_gives_back_the_room(store: Store) -> None:
    store.add("v:1", {})
    small = store.used()
    store.add("e:1", {}, LARGE)
    large = store.used() - small
    assert large > len(LARGE)
    assert store.delete("e:1") == large
    assert store.used() == small
    assert store.delete("v:1") == small
    assert value_files(store) == []
    assert store.add("e:1", {"again": True}, LARGE)


def test_the_bytes_used_are_those_of_the_frames(store: Store) -> None:
    store.add("e:1", {}, LARGE)
    (file,) = value_files(store)
    assert store.used() == file.stat().st_size
    store.add("v:1", {"a": 1}, b"xy")
    with reopened(store) as again:
        assert again.used() == sum(found.bytes for found in again.check())


def test_a_budget_is_kept_before_anything_is_written(tmp_path: Path) -> None:
    with Store.open(tmp_path, budget=250_000, ballast=0) as store:
        store.add("e:1", {}, LARGE)
        store.add("e:2", {}, LARGE)
        assert store.room() == 250_000 - store.used()
        with pytest.raises(StoreFull, match=r"no room in .* for 100 kB: 49\.9 kB left") as caught:
            store.add("e:3", {}, LARGE)
        assert "budget" in caught.value.hint
        assert len(value_files(store)) == 2
        assert store.add("e:1", {}, LARGE) is False  # costs nothing, so it is not refused
        assert store.add("v:1", {}, b"x" * 60_000, vital=True)
        store.delete("v:1")
        store.delete("e:1")
        assert store.add("e:3", {}, LARGE)
        with pytest.raises(StoreFull):
            store.add_many((f"v:n{n}", {}, b"x" * 20_000) for n in range(3))
        assert store.add_many(((f"v:n{n}", {}, b"x" * 20_000) for n in range(3)), vital=True) == 3
        assert store.room() == 0


def test_the_reserve_of_the_disk_is_left_free(tmp_path: Path) -> None:
    with Store.open(tmp_path, reserve=2**60) as store:
        assert store.room() == 0
        with pytest.raises(StoreFull):
            store.add("e:1", {}, LARGE)
        assert store.add("v:1", {}, vital=True)
        assert not (tmp_path / "ballast").exists()


def test_two_threads_do_not_spend_the_same_room(tmp_path: Path) -> None:
    with Store.open(tmp_path, budget=150_000, ballast=0) as store:
        results: list[object] = []
        start = threading.Barrier(6)

        def add(n: int) -> None:
            start.wait()
            try:
                results.append(store.add(f"e:{n}", {}, LARGE))
            except StoreFull as exc:
                results.append(exc)
            finally:
                store.close()

        threads = [threading.Thread(target=add, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results.count(True) == 1
        assert store.used() <= 150_000


def test_only_the_owner_may_look_into_the_folder(tmp_path: Path) -> None:
    for name in ("new", "empty"):
        if name == "empty":
            (tmp_path / name).mkdir(mode=0o755)
        Store.open(tmp_path / name, ballast=0).close()
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700


def test_a_folder_with_other_things_is_not_closed_to_others_but_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "notes.txt").write_text("mine")
    with Store.open(tmp_path, ballast=0) as store:
        assert "others on this machine" in store.notices[0]
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_file_is_no_place_for_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="is not a folder"):
        Store.open(tmp_path / "file")


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="could not open") as caught:
        Store.open(tmp_path / "file" / "store")
    assert caught.value.hint


def test_a_network_file_system_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "filesystem", lambda folder: "nfs4")
    with Store.open(tmp_path, ballast=0) as store:
        assert "network file system (nfs4)" in store.notices[0]
        assert store.add("e:1", {})


def test_opening_for_reading_changes_nothing(store: Store) -> None:
    store.add("e:1", {"n": 1}, LARGE)
    store.close()
    before = {path: path.stat().st_mtime_ns for path in store.folder.rglob("*")}
    with Store.open(store.folder, read_only=True) as reader:
        assert reader.read_only
        assert reader.get("e:1") == Record({"n": 1}, LARGE)
        assert list(reader.headers("e:")) == [("e:1", {"n": 1})]
        assert [found.problem for found in reader.check()] == [""]
        assert reader.room() == 0
        assert reader.sweep(before=time.time()) == Swept(0, 0)
        with pytest.raises(StoreError, match="opened for reading only"):
            reader.add("e:2", {})
        with pytest.raises(StoreError, match="opened for reading only"):
            reader.delete("e:1")
    after = {path: path.stat().st_mtime_ns for path in store.folder.rglob("*")}
    assert {path: after[path] for path in before} == before
    assert {path.name for path in after.keys() - before.keys()} <= {"cache.db-wal", "cache.db-shm"}


def test_a_reader_sees_what_a_writer_adds(store: Store) -> None:
    store.add("e:1", {}, LARGE)
    with Store.open(store.folder, read_only=True) as reader:
        store.add("e:2", {"new": True})
        assert reader.header("e:2") == {"new": True}
        store.delete("e:1")
        assert reader.get("e:1") is None
        assert reader.damaged == 0


def test_there_is_nothing_to_read_where_no_store_is(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        Store.open(tmp_path, read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_store_of_a_newer_format_is_refused(store: Store) -> None:
    store.close()
    with sqlite3.connect(store.folder / "cache.db") as con:
        con.execute("PRAGMA user_version = 2")
    con.close()
    for read_only in (False, True):
        with pytest.raises(StoreError, match="newer editbench \\(format 2\\)") as caught:
            Store.open(store.folder, read_only=read_only)
        assert "update editbench" in caught.value.hint


def test_a_locked_store_is_said_in_time(store: Store) -> None:
    store.close()
    con = sqlite3.connect(store.folder / "cache.db", isolation_level=None)
    con.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StoreError, match="locked") as caught:
            Store.open(store.folder, timeout=0.05)
        assert "another process" in caught.value.hint
    finally:
        con.close()
    with alone(store.folder / "open.lock", seconds=1), pytest.raises(StoreError, match="held"):
        Store.open(store.folder, timeout=0.05)


def test_a_writer_that_keeps_the_lock_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with Store.open(tmp_path, ballast=0, timeout=0.05) as store:
        con = sqlite3.connect(tmp_path / "cache.db", isolation_level=None)
        con.execute("BEGIN IMMEDIATE")
        try:
            with pytest.raises(StoreError, match="locked") as caught:
                store.add("e:1", {}, LARGE)
            assert "another process" in caught.value.hint
            assert store.get("e:1") is None
        finally:
            con.close()
        assert value_files(store) == []
        assert store.add("e:1", {}, LARGE)


def test_every_connection_syncs_whatever_the_settings_in_the_file_say(store: Store) -> None:
    other = diskcache.Cache(str(store.folder), disk=FrameDisk, sqlite_synchronous=0)
    other.close()
    levels: list[object] = []

    def look() -> None:
        levels.extend(store._index.rows("PRAGMA synchronous"))
        store.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert levels == [(2,)]
    assert store._index.rows("PRAGMA synchronous") == [(2,)]


def test_less_durability_is_not_passed_on_to_others(store: Store) -> None:
    with Store.open(store.folder, ballast=0, durability="crash") as fast:
        assert fast._index.rows("PRAGMA synchronous") == [(1,)]
        assert fast.add("e:1", {}, LARGE)
    with reopened(store) as again:
        assert again._index.rows("PRAGMA synchronous") == [(2,)]
        assert again.get("e:1") == Record({}, LARGE)


def test_settings_that_would_evict_are_put_right_when_it_is_opened(store: Store) -> None:
    for n in range(20):
        store.add(f"e:{n}", {}, LARGE)
    store.close()
    with sqlite3.connect(store.folder / "cache.db") as con:
        for name, value in (
            ("size_limit", 1000),
            ("cull_limit", 10),
            ("eviction_policy", "least-recently-stored"),
        ):
            con.execute("UPDATE Settings SET value = ? WHERE key = ?", (value, name))
    con.close()
    with Store.open(store.folder, ballast=0) as again:
        again.add("e:more", {}, LARGE)
        assert len(list(again.headers("e:"))) == 21


def test_a_setting_that_does_not_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diskcache.Cache, "eviction_policy", property(lambda _: "x"), raising=False)
    monkeypatch.setattr(diskcache.Cache, "reset", lambda *args, **more: None)
    monkeypatch.setattr(diskcache.core, "EVICTION_POLICY", {"x": {"init": None}})
    monkeypatch.setattr(diskcache.Cache, "tag_index", 0, raising=False)
    with pytest.raises(StoreError, match="did not accept eviction_policy = none"):
        Store.open(tmp_path)


def test_files_without_a_record_are_adopted_or_removed(store: Store) -> None:
    store.add("e:kept", {}, LARGE)
    store.add("e:lost", {"n": 1}, LARGE)
    store.add("e:torn", {}, LARGE)
    used = store.used()
    for key in ("e:lost", "e:torn"):
        store._index.rows("DELETE FROM Cache WHERE key = ?", key)
    (kept,) = store.folder.glob("values/e=kept-*")
    (torn,) = store.folder.glob("values/e=torn-*")
    os.truncate(torn, 50_000)
    double = kept.with_name(f"e=kept-{'0' * 32}.val")
    shutil.copyfile(kept, double)
    strange = [store.folder / "values" / "notes.txt", store.folder / "values" / "x-1.val"]
    for path in strange:
        path.write_text("not ours")
    problems = {found.name: found.problem for found in store.check() if found.problem}
    assert set(problems.values()) == {"it has no record"}
    assert len(problems) == 3

    assert store.sweep(before=0) == Swept(0, 0)  # all are newer than that
    assert store.sweep(before=time.time() + 1) == Swept(adopted=1, removed=2)
    assert store.get("e:lost") == Record({"n": 1}, LARGE)
    assert store.get("e:kept") == Record({}, LARGE)
    assert store.get("e:torn") is None
    assert not double.exists()
    assert all(path.exists() for path in strange)
    found = list(store.check())
    assert store.used() == sum(one.bytes for one in found) < used
    assert not any(one.problem for one in found)


def test_a_sweep_leaves_everything_while_others_write(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("editbench.engine.store._SWEEP_WAITS", 0.02)
    file = store._index.disk.write("e:1", LARGE, sync=False)
    with shared(store.folder / "write.lock"):
        assert store.sweep(before=time.time() + 1) == Swept(0, 0)
    assert (store.folder / file.name).exists()


def test_a_sweep_that_finds_the_disk_full_keeps_whole_files(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add("e:1", {}, LARGE)
    store._index.rows("DELETE FROM Cache")

    def full(items: object) -> int:
        raise StoreFull("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store._index, "add_many", full)
        assert store.sweep(before=time.time() + 1) == Swept(0, 0)
    assert store.sweep(before=time.time() + 1) == Swept(1, 0)
    assert store.get("e:1") == Record({}, LARGE)


def test_the_ballast_is_taken_once_and_given_up_once(tmp_path: Path) -> None:
    with Store.open(tmp_path, ballast=5000) as store:
        assert (tmp_path / "ballast").stat().st_size == 5000
        assert opening.drop_ballast(store.folder)
        assert not opening.drop_ballast(store.folder)


def test_a_removed_folder_is_an_error_and_nothing_is_taken_for_stored(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add("e:1", {}, LARGE)
    with monkeypatch.context() as patch:

        def fail(path: Path) -> object:
            raise OSError(errno.EIO, "Input/output error")

        patch.setattr(Path, "stat", fail)
        with pytest.raises(StoreError, match="could not reach"):
            store.add("e:2", {})
    shutil.rmtree(store.folder)
    for key, payload in (("e:2", LARGE), ("e:3", b"")):
        with pytest.raises(StoreError):
            store.add(key, {}, payload)
    with pytest.raises(StoreError, match="removed or replaced"):
        store.get("e:1")
    assert store.damaged == 0


def test_a_replaced_index_is_an_error(store: Store) -> None:
    store.add("e:1", {})
    copy = store.folder / "copy"
    shutil.copyfile(store.folder / "cache.db", copy)
    os.replace(copy, store.folder / "cache.db")
    with pytest.raises(StoreError, match="removed or replaced") as caught:
        store.add("e:2", {})
    assert "run the command again" in caught.value.hint


def test_the_adapter_for_diskcache_takes_bytes_and_nothing_else(tmp_path: Path) -> None:
    disk = FrameDisk(str(tmp_path))
    for value in ("text", 1, {"a": 1}, None, bytearray(b"x")):
        with pytest.raises(TypeError, match="the store keeps bytes"):
            disk.store(value, False, "e:1")
    assert disk.store(ValueFile("values/x", 3), False) == (3, 2, "values/x", None)
    assert disk.put("e:1") == ("e:1", True)
    assert disk.get("e:1", True) == "e:1"


def test_a_name_that_is_not_ours_has_no_key() -> None:
    assert key_of(f"values/e=1-{'0' * 32}.val") == "e:1"
    with pytest.raises(ValueError, match="no value file"):
        key_of("values/notes.txt")


def test_a_level_of_syncing_that_sqlite_does_not_take_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Store.open(store.folder, ballast=0)._index
    monkeypatch.setattr(index, "_local", threading.local())
    with monkeypatch.context() as patch:
        con = index._cache._con  # type: ignore[union-attr]
        patch.setattr(index._cache, "_local", SimpleNamespace(con=_Deaf(con), pid=os.getpid()))  # type: ignore[union-attr]
        with pytest.raises(StoreError, match="did not accept synchronous = 2"):
            index.has("e:1")
    index.close()


class _Deaf:
    """A connection that takes no pragma."""

    def __init__(self, con: sqlite3.Connection) -> None:
        self._con = con

    def execute(self, sql: str) -> sqlite3.Cursor:
        return self._con.execute("SELECT 0")


def test_checking_passes_over_what_is_deleted_meanwhile(store: Store) -> None:
    store.add_many((f"e:{n}", {}, b"") for n in range(2))
    findings = store.check()
    assert next(findings).name == "e:0"
    store.delete("e:1")
    assert list(findings) == []


def test_damage_is_logged(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.add("e:1", {}, LARGE)
    value_files(store)[0].unlink()
    with caplog.at_level(logging.WARNING):
        assert store.get("e:1") is None
    assert "e:1 is damaged" in caplog.text
