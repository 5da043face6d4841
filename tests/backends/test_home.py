from __future__ import annotations

from pathlib import Path

import pytest

from editbench.backends.home import home, remembered


def test_the_home_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITBENCH_HOME", str(tmp_path / "own"))
    assert home() == tmp_path / "own"
    monkeypatch.delenv("EDITBENCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert home() == tmp_path / "editbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert home() == Path.home() / ".cache" / "editbench"


def test_what_is_remembered_is_there_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITBENCH_HOME", str(tmp_path))
    with remembered("notes") as notes:
        notes["a"] = "b"
    with pytest.raises(KeyboardInterrupt), remembered("notes") as notes:
        notes["c"] = "d"
        raise KeyboardInterrupt
    with remembered("notes") as notes:
        assert notes == {"a": "b", "c": "d"}
    assert [path.name for path in tmp_path.iterdir()] == ["notes.json"]


def test_a_torn_file_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITBENCH_HOME", str(tmp_path))
    (tmp_path / "notes.json").write_text('{"a": ')
    with remembered("notes") as notes:
        assert notes == {}


def test_a_home_that_cannot_be_written_only_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDITBENCH_HOME", str(tmp_path / "file"))
    with remembered("notes") as notes:
        notes["a"] = "b"
