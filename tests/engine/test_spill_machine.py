"""Spill and store under every order of calls, crashes and damage that hypothesis thinks of."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from PIL import Image

from editbench.engine.index import Row
from editbench.engine.keys import pixel_hash
from editbench.engine.spill import Spill
from editbench.engine.store import Store
from editbench.errors import StoreFull

KEYS = st.sampled_from([f"e:{n}" for n in range(5)])
SIDES = st.sampled_from([8, 60, 130])  # the last has a value file, the others live in their row
LARGEST = 130 * 130 * 3 + 2000
MEMORY = 2 * 60 * 60 * 3
BUDGET = 4 * LARGEST
IN_RAM = Path("/dev/shm")  # where syncing costs nothing


def picture(seed: int, side: int) -> Image.Image:
    return Image.frombytes("RGB", (side, side), random.Random(seed).randbytes(side * side * 3))


class SpillMachine(RuleBasedStateMachine):
    """What was acknowledged is there unless it was damaged; what is there is what was put."""

    def __init__(self) -> None:
        super().__init__()
        place = IN_RAM if IN_RAM.is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="spill-machine-", dir=place))
        self.stored: dict[str, str] = {}  #: the pixels of every edit that was acknowledged
        self.unsure: set[str] = set()  #: those that were damaged: may be gone, must not be wrong
        self.seed = 0
        self.open()

    def open(self) -> None:
        self.store = Store.open(self.folder, budget=BUDGET, reserve=0, ballast=0)
        self.spill = Spill(self.store, host_limit=MEMORY)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    def rows(self) -> list[Row]:
        found = [self.store._index.row(key) for key, _ in self.store._index.tags("")]
        return [row for row in found if row]

    def value_file(self, key: str) -> Path | None:
        row = self.store._index.row(key)
        return self.folder / row.file if row and row.file else None

    def forget(self, key: str) -> None:
        self.stored.pop(key, None)
        self.unsure.discard(key)

    @rule(key=KEYS, side=SIDES)
    def put(self, key: str, side: int) -> None:
        self.seed += 1
        image = picture(self.seed, side)
        try:
            edit = self.spill.put(key, image, seconds=1, provenance={})
        except StoreFull:
            assert self.store.room() < LARGEST
            if key in self.unsure:
                self.forget(key)  # it was found damaged, and deleted, before the room ran out
            return
        if edit.pixels == pixel_hash(image):
            assert key not in self.stored or key in self.unsure
            self.unsure.discard(key)
        else:
            assert edit.pixels == self.stored[key]
        self.stored[key] = edit.pixels

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        found = self.spill.get(key)
        if found is None:
            assert key not in self.stored or key in self.unsure
            self.forget(key)
        else:
            assert found.edit.pixels == pixel_hash(found.image) == self.stored[key]

    @rule(key=KEYS)
    def drop(self, key: str) -> None:
        assert bool(self.spill.drop(key)) == (key in self.stored)
        self.forget(key)

    @rule(crashed=st.booleans())
    def reopen(self, crashed: bool) -> None:
        if not crashed:
            self.store.close()
        self.open()

    @rule()
    def sweep(self) -> None:
        self.store.sweep(before=time.time() + 10)
        named = {row.file for row in self.rows() if row.file}
        there = {f"values/{path.name}" for path in (self.folder / "values").iterdir()}
        assert there <= named

    @rule(key=KEYS, at=st.floats(0, 1), how=st.sampled_from(["torn", "flipped", "missing"]))
    def damage(self, key: str, at: float, how: str) -> None:
        path = self.value_file(key)
        if path is None or not path.exists() or not path.stat().st_size:
            return
        place = int(at * (path.stat().st_size - 1))
        if how == "missing":
            path.unlink()
        elif how == "torn":
            os.truncate(path, place)
        else:
            content = bytearray(path.read_bytes())
            content[place] ^= 16
            path.write_bytes(content)
        self.unsure.add(key)

    @rule(key=KEYS, torn=st.booleans())
    def crash_before_the_row(self, key: str, torn: bool) -> None:
        if key in self.stored or self.store.room() < LARGEST:
            return
        self.put(key, 130)
        path, pixels = self.value_file(key), self.stored.pop(key)
        assert path is not None
        self.store._index.rows("DELETE FROM Cache WHERE key = ?", key)
        if torn:
            os.truncate(path, path.stat().st_size // 2)
        self.open()
        assert self.spill.get(key) is None
        self.sweep()
        if not torn:
            self.stored[key] = pixels
        assert path.exists() != torn

    @rule()
    def lose_the_index(self) -> None:
        inline = {key for key in self.stored if self.value_file(key) is None}
        self.store.close()
        for path in self.folder.glob("cache.db*"):
            path.unlink()
        self.open()
        for key in [key for key in self.stored if key not in self.store]:
            assert key in inline | self.unsure
            self.forget(key)

    @invariant()
    def memory_and_disk_are_bounded(self) -> None:
        stats = self.spill.stats()
        assert stats.in_memory <= MEMORY
        assert stats.on_disk == sum(row.size for row in self.rows()) <= BUDGET

    @invariant()
    def facts_are_those_of_what_was_stored(self) -> None:
        assert {key: edit.pixels for key, edit in self.spill.all_facts()} == self.stored


SpillMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
TestSpillAndStore = pytest.mark.filterwarnings("ignore::ResourceWarning")(SpillMachine.TestCase)
