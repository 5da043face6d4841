"""Runs on a device that holds the largest component of the editor, and not all of it."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest

from editbench import api
from editbench.config import layered
from editbench.engine.cache import Cache
from editbench.engine.events import (
    Advanced,
    Event,
    Failed,
    Memory,
    Notice,
    PhaseStarted,
    Planned,
    RunEnded,
    Swapped,
)
from editbench.engine.states import PREFIX
from editbench.engine.store import Store
from editbench.errors import DoesNotFit, Stopped, StoreFull
from tests import struck
from tests.runs import TINY, Made, make, pairs, places, results

PARTS = ("prompts", "sources", "denoise", "decode")
#: the first, where nothing came before, and the last, which leaves no state; between them, in CI
MOST = [PARTS[0], *(pytest.param(part, marks=pytest.mark.slow) for part in PARTS[1:-1]), PARTS[-1]]
#: bytes; Kontext has 672 kB, its largest part 314 kB, and the judge 638 kB
SMALL: dict[str, Any] = {"memory": {"device_budget": "660kB"}}
STRUCK: dict[str, Any] = {
    "editor": {"use": f"{struck.__file__}:Editor", "model": "tiny/flux-kontext"}
}
KONTEXT = {"editor": TINY["editor"]}
REMOTE: dict[str, Any] = {"judge": {"use": f"{struck.__file__}:Judge"}}
NAMES = ["ant", "bee", "cow"]


@pytest.fixture(scope="module")
def quiet(shared_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A run in parts that nothing happened to."""
    folder = tmp_path_factory.mktemp("quiet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDITBENCH_HOME", str(shared_home))
        return make(folder, pairs(folder / "x", NAMES), STRUCK, SMALL)


def planned(made: Made) -> Planned:
    (found,) = [event for event in made.events if isinstance(event, Planned)]
    return found


def states(folder: Path) -> list[str]:
    with Store.open(folder / "store", read_only=True) as store:
        return [key for key, _ in store.headers(PREFIX)]


def advanced(events: list[Event]) -> Counter[tuple[str, str]]:
    return Counter((e.pair, e.part) for e in events if isinstance(e, Advanced))


@pytest.mark.parametrize("model", ["tiny/qwen-image-edit", "tiny/qwen-image-edit-plus"])
def test_parts_need_only_the_largest_and_find_what_the_whole_finds(
    tmp_path: Path, model: str
) -> None:
    suite = pairs(tmp_path / "x", NAMES)
    editor = {"editor": {"model": model}}
    # The largest component and the judge have 638 kB each with all buffers; all modules 1.1 MB.
    small = {"memory": {"device_budget": "640kB"}}
    made = make(tmp_path / "parts", suite, editor, small)
    plan = planned(made)
    (ended,) = [event for event in made.events if isinstance(event, RunEnded)]
    assert (plan.placement, plan.swaps, ended.swaps) == ("in parts", 3, 3)
    phases = [event.part for event in made.events if isinstance(event, PhaseStarted)]
    assert phases == [*PARTS, ""]
    assert all(e.device_used <= 640_000 for e in made.events if isinstance(e, Memory))
    # Each module goes to the device once; the VAE stays beside the transformer.
    moves = [(e.old.split()[-1:], e.bytes) for e in made.events if isinstance(e, Swapped)]
    assert moves == [
        ([], 635_904),
        (["prompts"], 93_184),
        (["sources"], 372_224),
        (["decode"], 637_952),
    ]
    assert states(tmp_path / "parts") == []

    whole = make(tmp_path / "whole", suite, editor)
    assert planned(whole).placement == "phased"
    assert made.items() == whole.items()
    again = make(tmp_path / "parts", suite, editor, {"run": {"name": "whole"}})
    assert (again.count("edit"), again.count("score")) == (0, 0)


def test_a_device_for_no_part_is_refused_with_the_bytes_of_the_largest(tmp_path: Path) -> None:
    layers = layered(places(tmp_path), KONTEXT, REMOTE, {"memory": {"device_budget": "100kB"}})
    with pytest.raises(DoesNotFit) as caught:
        api.plan(api.load_config(overrides=layers))
    (way,) = [way for way in caught.value.problems if "in parts" in way]
    assert "314 kB for the largest, does not fit" in way


def test_scores_come_while_edits_are_decoded_if_the_judge_needs_no_device(tmp_path: Path) -> None:
    suite = pairs(tmp_path / "x", NAMES)
    config = layered(
        places(tmp_path), KONTEXT, REMOTE, suite, {"memory": {"device_budget": "530kB"}}
    )
    events: list[Event] = []
    made = Made(api.run(api.load_config(overrides=config), on_event=events.append), events)
    phases = [(event.phase, event.part) for event in made.events if isinstance(event, PhaseStarted)]
    assert phases[:3] == [("edit", part) for part in PARTS[:3]]
    assert sorted(phases[3:]) == [("edit", "decode"), ("score", "")]
    assert (planned(made).swaps, made.count("score"), made.events[-1].swaps) == (2, 3, 2)


def test_a_disk_for_few_states_makes_several_phase_batches(tmp_path: Path) -> None:
    names = [f"p{n}" for n in range(7)]
    layers = (pairs(tmp_path / "x", names), SMALL, {"memory": {"spill": "10MB", "codec": "webp"}})
    whole = make(tmp_path / "a", *layers)
    assert planned(whole).batches == 1
    made = make(tmp_path / "b", *layers, {"memory": {"spill": "530kB"}})
    assert planned(made).batches > 1
    assert made.events[-1].swaps == planned(made).swaps == 4 * planned(made).batches - 1
    assert results(made.result.folder) == results(whole.result.folder)


@pytest.mark.parametrize("part", MOST)
def test_a_failure_in_a_part_is_one_pairs_and_what_came_before_it_is_kept(
    quiet: Made, tmp_path: Path, part: str
) -> None:
    suite = pairs(tmp_path / "x", NAMES)
    once = {"editor": {"strike": [f"{part}:bee"]}}
    retried = make(tmp_path / "once", suite, STRUCK, SMALL, once)
    assert retried.count("retry") == 1
    assert results(retried.result.folder) == results(quiet.result.folder)

    twice = {"editor": {"strike": [f"{part}:bee"] * 2}, "run": {"name": "trial"}}
    failed = make(tmp_path / "twice", suite, STRUCK, SMALL, twice)
    (event,) = [event for event in failed.events if isinstance(event, Failed)]
    assert (event.pair, event.phase, event.state) == ("bee", "edit", "edit_failed")
    assert [item["state"] for item in failed.items().values()].count("ok") == 2
    assert len(states(tmp_path / "twice")) == (part != PARTS[0])

    mended = make(tmp_path / "twice", suite, STRUCK, SMALL, {"run": {"name": "trial"}})
    assert mended.items() == quiet.items()
    assert [pair for pair, _ in advanced(mended.events)] == ["bee"] * (
        len(PARTS) - 1 - PARTS.index(part)
    )
    assert states(tmp_path / "twice") == []


def test_a_part_that_runs_out_of_memory_gets_more_of_the_device(
    quiet: Made, tmp_path: Path
) -> None:
    suite = pairs(tmp_path / "x", NAMES)
    strikes = [f"{part}:bee:oom" for part in PARTS]
    made = make(tmp_path / "loud", suite, STRUCK, SMALL, {"editor": {"strike": strikes}})
    assert (made.count("retry"), made.count("failed")) == (len(PARTS), 0)
    assert made.items() == quiet.items()
    assert made.events[-1].swaps == planned(made).swaps == 3


def test_a_full_disk_in_a_part_ends_with_what_can_be_finished_and_more_room_does_the_rest(
    tmp_path: Path,
) -> None:
    names = [f"p{n}" for n in range(6)]
    layers = (pairs(tmp_path / "x", names), KONTEXT, SMALL)
    whole = make(tmp_path / "quiet", *layers)
    events: list[Event] = []
    small = layered(TINY, places(tmp_path / "loud"), *layers, {"memory": {"spill": "130kB"}})
    with pytest.raises(StoreFull) as caught:
        api.run(api.load_config(overrides=small), on_event=events.append)
    assert Counter(event.kind for event in events)["failed"] == 0
    assert any("77.4 kB between their parts" in problem for problem in caught.value.problems)
    made = make(tmp_path / "loud", *layers)
    assert results(made.result.folder) == results(whole.result.folder)
    assert max(advanced([*events, *made.events]).values()) == 1
    assert states(tmp_path / "loud") == []


@pytest.mark.anyio
@pytest.mark.parametrize("now", [False, True], ids=["soon", "now"])
@pytest.mark.parametrize("part", MOST)
async def test_a_run_that_was_stopped_in_a_part_goes_on_from_there(
    quiet: Made, tmp_path: Path, part: str, now: bool
) -> None:
    suite = pairs(tmp_path / "x", NAMES)
    events: list[Event] = []
    config = api.load_config(overrides=layered(TINY, places(tmp_path / "loud"), suite, SMALL))
    with pytest.raises(Stopped):
        async with api.open_run(config, on_event=events.append) as run:
            async for event in run:
                if event.kind == "edit" or (isinstance(event, Advanced) and event.part == part):
                    run.stop(now=now)
    made = await anyio.to_thread.run_sync(lambda: make(tmp_path / "loud", suite, SMALL))
    assert results(made.result.folder) == results(quiet.result.folder)
    done = advanced([*events, *made.events])
    assert set(done.values()) == {1} and len(done) == len(PARTS[:-1]) * len(NAMES)
    assert states(tmp_path / "loud") == []


def test_a_damaged_state_costs_its_pair_a_new_beginning(quiet: Made, tmp_path: Path) -> None:
    suite = pairs(tmp_path / "x", NAMES)
    named = {"run": {"name": "trial"}}
    strikes = [f"denoise:{name}" for name in NAMES for _ in "12"]
    make(tmp_path / "loud", suite, STRUCK, SMALL, named, {"editor": {"strike": strikes}})
    assert len(states(tmp_path / "loud")) == 3
    for number, file in enumerate(sorted((tmp_path / "loud/store").rglob("i*.val"))):
        if number < 2:
            content = bytearray(file.read_bytes())
            content[-100] ^= 1
            file.write_bytes(content)
    made = make(tmp_path / "loud", suite, STRUCK, SMALL, named)
    notices = [event.message for event in made.events if isinstance(event, Notice)]
    assert sum("it will be made again" in text for text in notices) == 2
    assert Counter(part for _, part in advanced(made.events)) == {
        "prompts": 2,
        "sources": 2,
        "denoise": 3,
    }
    assert made.items() == quiet.items() and states(tmp_path / "loud") == []


def test_states_are_of_no_use_to_other_libraries_and_removed_with_their_edit(
    tmp_path: Path,
) -> None:
    suite = pairs(tmp_path / "x", NAMES)
    named = {"run": {"name": "trial"}, "editor": {"strike": ["decode:ant"] * 2}}
    make(tmp_path, suite, STRUCK, SMALL, named)
    (key,) = states(tmp_path)
    with Store.open(tmp_path / "store") as store:
        record = store.get(key)
        assert record is not None
        store.delete(key)
        store.add(key, {**record.header, "form": "of last year"}, record.payload)
    made = make(tmp_path, suite, STRUCK, SMALL, {"run": {"name": "trial"}})
    assert advanced(made.events) == {("ant", part): 1 for part in PARTS[:-1]}
    assert states(tmp_path) == []

    make(tmp_path / "b", suite, STRUCK, SMALL, named)
    assert len(states(tmp_path / "b")) == 1
    make(tmp_path / "b", suite, STRUCK, {"run": {"name": "trial"}})  # on a device for the whole
    make(tmp_path / "b", suite, STRUCK, {"run": {"name": "trial"}})
    assert states(tmp_path / "b") == []


def test_the_cache_knows_what_is_kept_between_parts_and_for_whom(tmp_path: Path) -> None:
    suite = pairs(tmp_path / "x", NAMES)
    named = {"run": {"name": "trial"}, "editor": {"strike": ["decode:ant"] * 2}}
    made = make(tmp_path, suite, STRUCK, SMALL, named)
    with Store.open(tmp_path / "store") as store:
        cache = Cache(store)
        assert ("parts of edits", 1) in [(kind.kind, kind.records) for kind in cache.usage()]
        assert cache.unused().keys == []
        shutil.rmtree(made.result.folder)
        unused = cache.unused()
        assert Counter(key[:2] for key in unused.keys) == {"e:": 2, "i:": 1, "v:": 2}
        list(cache.delete(unused))
    assert states(tmp_path) == []
