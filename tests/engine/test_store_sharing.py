"""The store under several threads and processes, and under kill -9."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from editbench.engine.store import Store

SIZES = (200, 60_000)

WRITER = """
import random, sys
from pathlib import Path
import pytest

from editbench.engine.store import Store

folder, name, count, start = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
store = Store.open(folder, ballast=0, reserve=0)
print("ready", flush=True)
if start == "wait":
    sys.stdin.readline()
for n in range(count):
    payload = random.Random(n).randbytes((200, 60_000)[n % 2])
    added = store.add(f"e:{n}", {"by": name}, payload)
    print(n, int(added), flush=True)
store.close()
"""


def payload(n: int) -> bytes:
    return random.Random(n).randbytes(SIZES[n % 2])


def writer(folder: Path, name: str, count: int, start: str = "go") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), name, str(count), start]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def added_by(process: subprocess.Popen[str]) -> set[int]:
    lines = [line.split() for line in process.communicate()[0].splitlines()]
    return {int(n) for n, added in lines if added == "1"}


def test_what_a_killed_process_announced_is_there(tmp_path: Path) -> None:
    process = writer(tmp_path, "a", 1_000_000)
    assert process.stdout is not None
    announced = []
    for line in process.stdout:
        if line != "ready\n":
            announced.append(int(line.split()[0]))
        if len(announced) == 40:
            process.send_signal(signal.SIGKILL)
            break
    announced += [int(line.split()[0]) for line in process.stdout if line.endswith("\n")]
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    with Store.open(tmp_path, ballast=0) as store:
        swept = store.sweep(before=time.time() + 1)
        assert swept.adopted + swept.removed <= 1  # the one it was writing
        for n in announced:
            record = store.get(f"e:{n}")
            assert record is not None
            assert record.payload == payload(n)
        assert len(list(store.headers("e:"))) <= len(announced) + 1
        assert store.damaged == 0
        assert not any(one.problem for one in store.check())


def test_two_processes_share_a_store_and_the_first_to_add_wins(tmp_path: Path) -> None:
    count = 60
    processes = [writer(tmp_path, name, count, "wait") for name in "ab"]
    with Store.open(tmp_path, ballast=0) as store:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        misses = 0
        while any(process.poll() is None for process in processes):
            for n in range(count):
                key = f"e:{n}"
                if key in store:
                    misses += store.get(key) is None
        added = {name: added_by(process) for name, process in zip("ab", processes, strict=True)}
        assert [process.returncode for process in processes] == [0, 0]
        assert misses == 0
        assert store.damaged == 0
        assert added["a"] | added["b"] == set(range(count))
        assert not added["a"] & added["b"]
        for key, header in store.headers("e:"):
            assert int(key[2:]) in added[header["by"]]
        findings = list(store.check())
        assert not any(one.problem for one in findings)
        assert store.used() == sum(one.bytes for one in findings)


def test_many_processes_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    processes = [writer(tmp_path / "store", str(n), 2) for n in range(4)]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0] * 4
    with Store.open(tmp_path / "store", ballast=0) as store:
        assert [key for key, _ in store.headers("")] == ["e:0", "e:1"]


def test_threads_share_a_store_while_it_is_swept(tmp_path: Path) -> None:
    problems: list[object] = []
    with Store.open(tmp_path, ballast=0) as store:

        def work(seed: int) -> None:
            try:
                for n in random.Random(seed).sample(range(60), 60):
                    store.add(f"e:{n}", {"n": n}, payload(n))
                    record = store.get(f"e:{n}")
                    if record is None or record.payload != payload(n):
                        problems.append(n)
            except Exception as exc:  # a thread's error would otherwise go unnoticed
                problems.append(exc)
            finally:
                store.close()

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            store.sweep(before=time.time() + 1)
        for thread in threads:
            thread.join()
        assert problems == []
        assert store.damaged == 0
        assert len(list(store.headers("e:"))) == 60
        assert not any(one.problem for one in store.check())


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own(tmp_path: Path) -> None:
    with Store.open(tmp_path, ballast=0) as store:
        store.add("e:1", {})
        child = os.fork()
        if not child:
            os._exit(0 if store.add("e:2", {}) and store.header("e:1") == {} else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert store.header("e:2") == {}
