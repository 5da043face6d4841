"""Claims between runs: one holder each, gone with the holder, and never in the way of results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from editbench.engine.claims import Claims
from editbench.engine.sharing import shared
from editbench.engine.steps import LATER
from editbench.errors import OutOfMemory, StoreError
from editbench.records import Failure

HOLDER = """
import sys
from pathlib import Path
from editbench.engine.claims import Claims
claims = Claims(Path(sys.argv[1]))
sys.stdin.readline()
print(claims.take(["a", "b"]), flush=True)
sys.stdin.readline()
"""


def test_what_one_has_in_hand_the_other_leaves_until_it_is_dropped(tmp_path: Path) -> None:
    one, two = Claims(tmp_path), Claims(tmp_path)
    assert one.take(["a", "b"]) == []
    assert one.take(["b", "a"]) == []  # once more, as for a second attempt
    assert two.take(["c", "a", "b"]) == [1, 2]
    one.drop(["a", "never taken"])
    assert two.take(["a", "b"]) == [1]
    assert one.take(["a", "c"]) == [0, 1]
    one.close()
    assert two.take(["b"]) == []


def test_alone_nothing_is_claimed(tmp_path: Path) -> None:
    one = Claims(tmp_path)
    assert one.take(["a"]) == []
    two = Claims(tmp_path)
    assert two.take(["a"]) == []
    assert one.take(["a"]) == [0]
    two.close()
    three = Claims(tmp_path)
    assert three.take(["a"]) == []


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    mine = Claims(tmp_path)
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin and other.stdout
        other.stdin.write("go\n")
        other.stdin.flush()
        assert other.stdout.readline() == "[]\n"
        assert mine.take(["a", "b", "c"]) == [0, 1]
        other.kill()
    assert mine.take(["a", "b", "c"]) == []


def test_where_nothing_can_be_locked_nothing_is_claimed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    claims = Claims(tmp_path / "file")
    assert claims.take(["a"]) == []
    claims.drop(["a"])
    claims.close()


def test_what_is_not_heeded_is_not_left(tmp_path: Path) -> None:
    one, two = Claims(tmp_path), Claims(tmp_path)
    one.take(["a"])
    two.heeded = False
    assert two.take(["a"]) == []


def test_stored_results_come_before_claims_and_failures_are_let_go_of(tmp_path: Path) -> None:
    one, two = Claims(tmp_path), Claims(tmp_path)
    assert two.take(["taken", "taken and stored"]) == []
    names = ["taken", "taken and stored", "stored", "new", "bad"]
    failure = Failure("edit_failed", "ValueError", "bad", 1)
    outputs = shared(
        [1, 2, 3, 4, 5],
        names,
        claims=one,
        stored=lambda: {1: "theirs", 2: "old", 3: None},
        make=lambda left: [failure if number == 5 else -number for number in left],
    )
    assert outputs == [LATER, "theirs", "old", -4, failure]
    assert two.take(["stored", "new", "bad"]) == [1]  # until it is durable


def test_a_step_that_raises_lets_go_and_a_store_that_cannot_be_read_spares_nothing(
    tmp_path: Path,
) -> None:
    one, two = Claims(tmp_path), Claims(tmp_path)

    def unreadable() -> dict[int, str]:
        raise StoreError("no disk")

    def fail(left: object) -> list[str]:
        raise OutOfMemory("full")

    with pytest.raises(OutOfMemory):
        shared([1], ["a"], claims=one, stored=unreadable, make=fail)
    assert two.take(["a"]) == []


def test_a_run_is_alone_until_another_comes_and_never_again(tmp_path: Path) -> None:
    one = Claims(tmp_path)
    assert one.alone
    two = Claims(tmp_path)
    assert not one.alone and not two.alone
    two.close()
    assert not one.alone
    one.close()
    assert Claims(tmp_path).alone


def test_where_nothing_can_be_locked_nobody_knows_to_be_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not Claims(tmp_path / "file").alone
