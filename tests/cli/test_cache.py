"""Looking after the store: real runs of real tiny models, one pair a category."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from editbench import api
from editbench.cli.app import app
from editbench.engine.locks import shared
from editbench.engine.opening import IN_USE
from tests.runs import make, pairs


def invoke(*given: str) -> Result:
    return CliRunner().invoke(app, ["cache", *given])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, shared_home: Path) -> Path:
    """A folder with two runs, ``one`` and ``two``, that share the edits of ``b``, and no more."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDITBENCH_HOME", str(shared_home))
        for name, ids in (("one", ["a", "b"]), ("two", ["b", "d", "f"])):
            make(folder, pairs(folder / name, ids), {"run": {"name": name}})
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder; the store knows of the first one's runs, and sees these with --out."""
    shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("EDITBENCH_SPILL_DIR", "store")
    return tmp_path / "copy"


def facts() -> dict[str, dict[str, int]]:
    kinds = json.loads(invoke("info", "--json").stdout)["kinds"]
    return {kind["kind"]: kind for kind in kinds}


@pytest.fixture
def one_gone(made: Path, place: Path) -> Iterator[None]:
    """The folder of the run ``one`` is deleted, wherever the store knows of it."""
    shutil.rmtree(place / "runs" / "one")
    shutil.move(made / "runs" / "one", made / "elsewhere")
    yield
    shutil.move(made / "elsewhere", made / "runs" / "one")


def test_info_counts_bytes_by_kind_and_by_run(place: Path) -> None:
    found = facts()
    assert found["edits"]["records"] == found["replies"]["records"] == 4
    assert found["edits"]["bytes"] > found["replies"]["bytes"] > 0
    runs = {run["folder"]: run for run in json.loads(invoke("info", "--json").stdout)["runs"]}
    one = runs[str(place / "runs" / "one")]
    assert (one["edits"], one["stored"], one["running"]) == (2, 2, "")
    said = invoke("info").stdout
    assert "edits" in said and "kB" in said and " 3/3 " in said


def test_what_runs_refer_to_stays(place: Path) -> None:
    result = invoke("prune", "--yes")
    assert result.exit_code == 0 and "nothing to delete" in result.stderr
    assert facts()["edits"]["records"] == 4


@pytest.mark.usefixtures("one_gone")
def test_prune_deletes_what_only_a_deleted_run_referred_to(place: Path) -> None:
    said = invoke("info")
    assert "editbench cache prune" in said.stderr
    dry = invoke("prune", "--dry-run")
    assert "1 edits" in dry.stdout and "1 replies" in dry.stdout
    assert facts()["edits"]["records"] == 4
    assert invoke("prune", "--older-than", "1h", "--yes").exit_code == 0
    assert facts()["edits"]["records"] == 4
    assert "freed: " in invoke("prune", "--yes").stderr
    assert facts()["edits"]["records"] == facts()["replies"]["records"] == 3
    again = make(place, {"suite": {"path": str(place / "two"), "limit": None}})
    assert again.count("edit") == again.count("score") == 0


@pytest.mark.usefixtures("one_gone")
def test_nothing_goes_unasked_or_while_a_run_goes_on(place: Path) -> None:
    for arguments in (["prune"], ["clear"]):
        result = invoke(*arguments)
        assert result.exit_code == 2 and "--yes confirms it" in result.stderr
        with shared(place / "store" / IN_USE):
            held = invoke(*arguments, "--yes")
        assert held.exit_code == 4 and "is in use by a run" in held.stderr
    assert facts()["edits"]["records"] == 4


def test_a_run_that_goes_on_is_named(place: Path) -> None:
    from editbench.engine.lock import RunLock

    with RunLock(place / "runs" / "two"), shared(place / "store" / IN_USE):
        held = invoke("clear", "--yes")
    assert "is in use by two, pid " in held.stderr


@pytest.mark.anyio
async def test_an_open_run_keeps_its_store(place: Path) -> None:
    config = api.config_of(api.open_result("two"), overrides={"memory": {"folder": "store"}})
    async with api.open_run(config):
        assert invoke("clear", "--yes").exit_code == 4
    assert invoke("clear", "--yes").exit_code == 0


def test_verify_finds_the_record_that_was_changed(place: Path) -> None:
    good = invoke("verify")
    assert good.exit_code == 0 and "all of them whole" in good.stdout
    database = place / "store" / "cache.db"
    whole = database.read_bytes()
    start = whole.index(b"RIFF")
    database.write_bytes(whole[: start + 40] + b"\0\0\0\0\0\0\0\0" + whole[start + 48 :])
    result = invoke("verify", "--json")
    assert result.exit_code == 4
    (fault,) = json.loads(result.stdout)["faults"]
    assert fault["name"].startswith("e:")


def test_clear_deletes_everything_and_a_run_starts_over(place: Path) -> None:
    assert invoke("clear", "--yes").exit_code == 0
    assert "there is no store in store" in invoke("info").stderr
    again = make(place, {"suite": {"path": str(place / "one"), "limit": None}})
    assert again.count("edit") == 2


def test_where_there_is_no_store_it_says_so(tmp_path: Path) -> None:
    result = invoke("info", "--spill-dir", str(tmp_path / "none"))
    assert result.exit_code == 4 and "there is no store in" in result.stderr
