from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from editbench.engine.choice import FIRST, SEEN, CodecChoice
from editbench.engine.codec import available
from editbench.engine.spill import Spill
from editbench.engine.store import Store

PICTURE = Image.linear_gradient("L").convert("RGB")  # of which WebP makes little


def chosen(*seconds: float, room: int = 10**9) -> list[str]:
    choice = CodecChoice(None, room=lambda: room)
    return [choice.codec(PICTURE, seconds=each) for each in seconds]


def test_a_codec_that_is_named_is_used_from_the_first_edit() -> None:
    choice = CodecChoice("raw", room=lambda: pytest.fail("nothing is to be chosen"))
    assert [choice.codec(PICTURE, seconds=9.0) for _ in range(5)] == ["raw"] * 5


def test_slow_edits_are_kept_small() -> None:
    assert set(chosen(*[60.0] * 5)) <= {"webp", "jxl"}


def test_edits_without_any_duration_get_the_quickest_codec() -> None:
    assert chosen(*[0.0] * (SEEN + 2)) == [FIRST] * (SEEN - 1) + ["raw"] * 3


def test_a_slow_first_edit_does_not_decide() -> None:
    assert chosen(60.0, *[0.0] * SEEN)[-1] == "raw"


def test_a_disk_without_room_for_raw_edits_gets_none() -> None:
    assert chosen(*[0.0] * SEEN, room=PICTURE.width * PICTURE.height)[-1] != "raw"


def test_threads_that_come_at_once_settle_on_one_codec() -> None:
    choice = CodecChoice(None, room=lambda: 10**9)
    threads = [
        threading.Thread(target=lambda: [choice.codec(PICTURE, seconds=0.0) for _ in range(20)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert choice.codec(PICTURE, seconds=0.0) == "raw"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", ballast=0) as opened:
        yield opened


def test_edits_of_several_codecs_lie_side_by_side(store: Store) -> None:
    spill = Spill(store, host_limit=0, codec="auto", edits=8)
    for number in range(SEEN + 1):
        spill.put(f"e:{number}", PICTURE, seconds=0.0, provenance={})
    codecs = {header["codec"] for _, header in store.headers("e:")}
    assert codecs == {FIRST, "raw"} and codecs <= set(available())
    for number in range(SEEN + 1):
        found = spill.get(f"e:{number}")
        assert found is not None and found.image.tobytes() == PICTURE.tobytes()
