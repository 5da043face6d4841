"""The swap benchmark says what is so: bytes, equal bits, and why a method has no figures."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPTS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def _beside_the_scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(SCRIPTS)
    yield


@pytest.mark.slow
def test_the_tiny_table_shows_what_each_method_moves(tmp_path: Path) -> None:
    import swap

    command = [sys.executable, str(SCRIPTS / "swap.py"), "--device", "cpu", "--cycles", "2"]
    command += ["--json", "swap.json", "--chart", "swap.svg"]
    done = subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads((tmp_path / "swap.json").read_text())["metrics"]["rows"]
    rows = {row["method"]: row for row in found}
    assert list(rows) == list(swap.METHODS)
    measured = {name for name, row in rows.items() if "into" in row}
    assert measured == {"naive", "retained", "arena", "region", "overlay", "file"}
    for name, row in rows.items():
        assert (name in measured) != ("reason" in row)
        assert row["same"] is (None if name == "retained-pinned" else True)
        assert f"| {swap.METHODS[name].label} |" in done.stdout

    average = rows["naive"]["weights"] / 2
    assert rows["naive"]["back"] == rows["naive"]["into"] >= average
    for name in measured - {"naive"}:
        assert rows[name]["back"] == 0
        assert average <= rows[name]["into"] <= 1.01 * average or name in ("overlay", "file")
    assert rows["overlay"]["into"] == rows["file"]["into"] == _overlap()
    assert len({str(row["outputs"]["editor"]) for row in rows.values() if "outputs" in row}) == 1

    words = [e.text for e in ElementTree.parse(tmp_path / "swap.svg").iter() if e.text]
    assert {method.label for method in swap.METHODS.values()} <= set(words)


def _overlap() -> int:
    """Return the bytes that both tiny models need in the room that is given to them."""
    import ladder
    import turns
    import weights

    stage = turns.Stage(turns.Asked("tiny", "cpu"))
    mover = ladder.Overlay(stage.device, room=stage.room)
    for name, role in weights.ROLES.items():
        modules = role.build(stage.size)
        weights.fill(modules, stage.size, stage.device.place, seed=0)
        mover.take(name, modules)
    sizes = {name: mover.manager.bytes(name) for name in weights.ROLES}
    reserve = stage.device.free() - (stage.room or 0)
    overlap = mover.manager.plan(sizes, reserve=reserve).overlap("editor", "judge")
    mover.manager.close()
    return overlap


@pytest.mark.parametrize("step", ["Arena", "ArenaAndRegion", "Overlay", "FromFile"])
def test_each_step_of_ours_gives_the_same_bits_and_copies_nothing_back(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ladder
    import turns

    monkeypatch.chdir(tmp_path)
    row = turns.measure(getattr(ladder, step), turns.Asked("tiny", "cpu"))
    assert row["same"] is True and row["back"] == 0 < row["into"]


def test_an_output_that_changes_is_noticed() -> None:
    import movers
    import turns

    class Damaging(movers.Naive):
        def leave(self, name: str) -> None:
            with torch.no_grad():
                next(self._tensors(name)).add_(1)

    asked = turns.Asked("tiny", "cpu")
    assert turns.measure(movers.Naive, asked)["same"] is True
    assert turns.measure(Damaging, asked)["same"] is False


def test_too_little_host_memory_is_a_reason() -> None:
    import movers
    import turns

    with pytest.raises(movers.Unable, match=r"needs 12\.2 MB of host memory, there are 12\.0 MB"):
        turns.measure(movers.Naive, turns.Asked("tiny", "cpu", host=12_000_000))


def test_a_gpus_figures_are_in_seconds_and_against_naive() -> None:
    import swap

    figures = {"same": True, "weights": 100e9, "back": 0.0, "host": 1e11, "device": 8e10}
    rows = [
        {"method": "naive", "into": 50e9, "copying": [24.0], "exposed": [25.0], "pinned": 0},
        {"method": "overlay", "into": 25e9, "copying": [0.5], "exposed": [0.6], "pinned": 100e9},
        {"method": "retained-pinned", "reason": "needs more", "same": None},
    ]
    rows = [figures | row if "into" in row else row for row in rows]
    link = {"gpu": "a card", "pinning": 1e9}
    link |= {kind: {"into": [55e9], "back": [53e9]} for kind in ("pinned", "pageable")}
    naive, ours, without = swap.table(rows, link).splitlines()[2:]
    assert "| 1 | 100 GB |  | 80.0 GB |" in naive
    assert "| 0.5 [0.5 0.5-0.5 0.5] | 50 | 91% |" in ours
    assert "| 41.7 | 100 GB | 100 GB (1.000x) |" in ours
    assert set(without.split("|")[2:]) == {" - ", ""}
    assert "retained, pinned" in swap.legend(rows, link)

    root = ElementTree.fromstring(swap.draw(rows, link))
    widths = [float(e.get("width", 0)) for e in root.iter() if e.tag.endswith("rect")]
    # From 0.1 s, the decade below, to 25 s.
    assert widths == [420, pytest.approx(420 * math.log(6) / math.log(250), abs=0.1)]


def test_large_models_are_not_made_without_a_gpu() -> None:
    import movers
    import turns

    for asked in (turns.Asked("full", "cpu"), turns.Asked("tiny", "cpu", 1 << 30)):
        with pytest.raises(movers.Unable, match="without a GPU"):
            turns.Stage(asked)


def test_full_models_have_the_sizes_of_the_real_ones() -> None:
    import weights

    sizes = {
        name: sum(weights.parameter_bytes(role.build(weights.SIZES["full"]), weights.SIZES["full"]))
        for name, role in weights.ROLES.items()
    }
    assert sizes == {"editor": 41_114_587_238, "judge": 62_141_508_064}


@pytest.mark.parametrize(
    ("work", "given", "reason"),
    [
        (int, "x", "ValueError: invalid literal"),
        (os._exit, 3, "its process ended with 3"),
        (time.sleep, 600, "took more than 0.2s"),
    ],
)
def test_whatever_goes_wrong_in_a_process_is_a_reason(work: Any, given: Any, reason: str) -> None:
    import turns

    timeout = 0.2 if work is time.sleep else 120
    processes = multiprocessing.get_context("spawn")
    found = turns.in_a_process(processes, work, given, timeout=timeout)
    assert found["reason"].startswith(reason)


def test_copies_between_host_and_device_are_counted_each_way() -> None:
    import movers

    seen: list[tuple[int, int]] = []
    with movers.counting(lambda into, back: seen.append((into, back))):
        there = torch.ones(4).to("meta")
        torch.empty(8, device="meta").copy_(torch.ones(8))
        torch.ones(3).to(torch.float64)
    assert there.device.type == "meta"
    assert seen == [(16, 0), (32, 0), (0, 0)]
