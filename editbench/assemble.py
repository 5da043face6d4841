"""Turns a configuration into the parts of a run: suite, models, rubric, store, device, folder."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from editbench.backends import home, registry
from editbench.config import BackendConfig, RunConfig, with_paths
from editbench.engine import cache, keys, locks, memory, opening
from editbench.engine.claims import Claims
from editbench.engine.devices import Device, open_device
from editbench.engine.events import Checking, Event, Notice, Reading
from editbench.engine.ledger import Ledger, Prompt, Rules
from editbench.engine.lock import RunLock
from editbench.engine.memo import Memo
from editbench.engine.protocols import Editor, Judge, Model, Suite
from editbench.engine.spill import Spill
from editbench.engine.states import States
from editbench.engine.steps import Limits
from editbench.engine.store import Store
from editbench.engine.wiring import Parts, Weights, divided
from editbench.errors import ResultError
from editbench.records import Json, Pair, Reply, Verdict
from editbench.suites import rubrics, verdicts
from editbench.suites.check import check
from editbench.suites.images import decode
from editbench.suites.open import open_suite
from editbench.suites.select import select
from editbench.units import format_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

PRETEND = 1.4  #: times the larger of two tiny models: a pretend device that holds one of them
TINY = "tiny/"
OFTEN = 0.1  #: seconds between two events of one progress
LONG = 10**9  #: bytes of weights that take seconds to read


@dataclass(frozen=True, slots=True)
class Assembly:
    """A run that is ready to be planned and carried out."""

    name: str
    folder: Path
    suite: Suite
    rubric: rubrics.Rubric
    parts: Parts
    notes: tuple[str, ...]


@contextmanager
def assemble(config: RunConfig, *, emit: Callable[[Event], None], lock: bool) -> Iterator[Assembly]:
    """Open everything that a run needs, and close it at the end. Loads no model.

    Raises the errors of every part; nothing has been written but the store's memory of images.
    """
    with ExitStack() as stack:
        suite = _open_suite(config)
        rubric = rubrics.load_rubric(config.judge.rubric)
        store = Store.open(config.memory.folder or store_folder(), budget=config.memory.spill)
        stack.callback(store.close)
        memo = Memo(store)
        stack.callback(memo.flush)
        editor, judge = make_models(config)
        stack.callback(judge.close)
        stack.callback(editor.close)
        for model in (editor, judge):
            _fetch(model, emit)
        name = run_name(config, suite, editor, judge)
        folder = config.run.out / name
        if lock:
            folder.mkdir(parents=True, exist_ok=True)
            held = stack.enter_context(RunLock(folder))
            if not store.read_only:
                stack.enter_context(locks.shared(store.folder / opening.IN_USE))
            if held.stale:
                text = f"the last session of this run was cut off ({held.stale}); going on from it"
                emit(Notice(time.time(), "info", text))
            swept = store.sweep(before=time.time())
            if swept.adopted or swept.removed:
                text = f"{swept.adopted} results found again, {swept.removed} torn ones removed"
                emit(Notice(time.time(), "info", f"tidied the store: {text}"))
        for text in store.notices:
            emit(Notice(time.time(), "warning", text))
        for model in (editor, judge):
            _recognise(model, emit)
        devices, notes = _devices(config, editor, judge)
        # Pretend devices are host memory, too.
        pretended = sum(each.limit or 0 for each in devices if each.name == "cpu")
        available = max(0, memory.host_available() - pretended)
        host = memory.host_budget(
            config.memory.host,
            available=available,
            weights=editor.footprint + judge.footprint,
        )
        # A quarter of the images' budget holds edits until they are scored.
        spill = Spill(
            store, host_limit=host // 4, codec=config.memory.codec, edits=max(1, len(suite))
        )
        prompt, parse = _judging(rubric)
        rules = Rules(
            editor.identity, judge.identity, config.seed, config.seed_policy, prompt, parse
        )
        states = _states(editor, store)
        if states and lock:
            states.tidy()
        claims = Claims(store.folder)  # first, so that no run can come and go unnoticed
        stack.callback(claims.close)
        checking = check(
            suite,
            digest=keys.pixel_hash,
            memo=memo,
            skip_bad=config.suite.skip_bad,
            progress=_now_and_then(
                lambda done, total: emit(Checking(time.time(), suite.name, done, total))
            ),
        )
        ledger = Ledger(suite, checking, rules, store=store, spill=spill, states=states)
        memo.flush()
        if config.run.score_only and not ledger.forgo_edits():
            raise ResultError(
                f"none of the {len(ledger)} edits is stored, so there is nothing to score",
                hint="editbench run makes them; --keep all keeps them",
            )
        if lock:
            cache.enter(store, folder, ledger.all_keys())
        yield Assembly(
            name=name,
            folder=folder,
            suite=suite,
            rubric=rubric,
            notes=notes,
            parts=Parts(
                ledger=ledger,
                claims=claims,
                editor=editor,
                judge=judge,
                store=store,
                spill=spill,
                states=states,
                devices=devices,
                host_bytes=host - host // 4,
                weights=Weights(
                    memory.weights_budget(config.memory.weights, available=available, images=host),
                    (config.memory.folder or store_folder()) / "weights",
                    config.memory.keep_weights,
                ),
                load_images=lambda pair: load_images(suite, pair),
                edit_batch=_batch(config.editor.batch, editor),
                score_batch=_batch(config.judge.batch, judge),
                limits=Limits(
                    retries=config.run.retries,
                    item_timeout=config.run.item_timeout,
                    fail_fast=config.run.fail_fast,
                ),
                early_scores=config.run.early_scores,
                keep=config.memory.keep,
            ),
        )


def _now_and_then(tell: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """Return what passes progress on as often as people can see it, and the last of it."""
    told = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        if done == total or now - told > OFTEN:
            told = now
            tell(done, total)

    return progress


def make_models(config: RunConfig) -> tuple[Editor, Judge]:
    """Return the editor and the judge, not loaded. Raises ``BackendError``."""
    editor: Editor = registry.make("editor", *_chosen(config, "editor", config.editor))
    judge: Judge = registry.make("judge", *_chosen(config, "judge", config.judge))
    return editor, judge


def _chosen(
    config: RunConfig, kind: Literal["editor", "judge"], chosen: BackendConfig
) -> tuple[str, dict[str, Json]]:
    """Return a backend's name and settings; it gets the threads if it knows of threads."""
    settings = chosen.settings()
    if config.run.threads is not None:
        known: Any = registry.find(kind, chosen.use)
        if "threads" in known.Settings.model_fields:
            settings.setdefault("threads", config.run.threads)
    return chosen.use, settings


def _fetch(model: Any, emit: Callable[[Event], None]) -> None:
    """Download a model that its backend knows how to download; the others are there or fail."""
    if not getattr(model, "is_here", True):
        text = f"{model.name} is not on this machine: downloading it"
        emit(Notice(time.time(), "info", text))
        model.fetch()


def _recognise(model: Any, emit: Callable[[Event], None]) -> None:
    """Have a model read what tells it from others, and say so if that takes a while."""

    def progress(done: int, total: int) -> None:
        if total > LONG:
            emit(Reading(time.time(), model.name, done, total))

    if recognise := getattr(model, "recognise", None):
        recognise(_now_and_then(progress))


def load_images(suite: Suite, pair: Pair) -> tuple[Image, ...]:
    """Return a pair's sources, decoded and upright. Raises ``SuiteError``."""
    return tuple(decode(suite.read(picture)) for picture in pair.sources)


def run_name(config: RunConfig, suite: Suite, editor: Model, judge: Model) -> str:
    """Return the name of the run's folder: the same settings always have the same one."""
    if config.run.name:
        return config.run.name
    settings = config.model_dump(mode="json", exclude={"memory", "observers", "run"})
    # Relative to the runs, so that a run's own run.toml names it too, wherever it is read.
    settings = with_paths(settings, since=config.run.out)
    for section in ("editor", "judge"):
        settings[section].pop("batch", None)
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:6]
    words = [suite.name, editor.name.rpartition("/")[2], judge.name.rpartition("/")[2], digest]
    return "_".join(re.sub(r"[^\w.-]+", "-", word)[:40].strip("-.") for word in words)


def _open_suite(config: RunConfig) -> Suite:
    chosen = config.suite
    suite: Suite = open_suite(chosen.path, language=chosen.language)
    if chosen.category or chosen.pair or chosen.limit:
        suite = select(suite, category=chosen.category, pair=chosen.pair, limit=chosen.limit)
    return suite


def store_folder() -> Path:
    """Return where the store is unless a run says otherwise."""
    return home.home() / "store"


def _devices(
    config: RunConfig, editor: Model, judge: Model
) -> tuple[tuple[Device, ...], tuple[str, ...]]:
    """Return one device for both models, or the editor's and the judge's, and what to say of it."""
    budget = config.memory.device_budget
    names = config.memory.device.split(",")
    devices = tuple(open_device(name, budget=budget) for name in names)
    named = [str(model.identity.get("model", "")) for model in (editor, judge)]
    tiny = [name for name in named if name.startswith(TINY)]
    notes = []
    if tiny:
        notes.append("tiny models have random weights: these scores mean nothing")
    if len(tiny) == 2 and budget is None and {each.name for each in devices} == {"cpu"}:
        size = int(max(editor.footprint, judge.footprint) * PRETEND)
        devices = tuple(open_device("cpu", budget=size) for _ in devices)
        what = "a pretend device" if len(devices) == 1 else "each of two pretend devices"
        notes.append(f"{what} of {format_bytes(size)} holds one of the two at a time")
    return devices, tuple(notes)


def _states(editor: Any, store: Store) -> States | None:
    names = [part.name for part in divided(editor)]
    return States(store, form=editor.state_form, parts=names) if names else None


def _batch(asked: Any, model: Model) -> int:
    return 1 if asked == "auto" else min(int(asked), model.max_batch)


def _judging(
    rubric: rubrics.Rubric,
) -> tuple[Callable[[Pair], rubrics.Prompt], Callable[[Pair, Prompt, Reply], Verdict]]:
    def prompt(pair: Pair) -> rubrics.Prompt:
        return rubric.prompt(
            pair.category, pair.instruction, pair.description, sources=len(pair.sources)
        )

    def parse(pair: Pair, asked: Prompt, reply: Reply) -> Verdict:
        overall = rubric.overall(pair.category)
        return verdicts.parse(reply, asked.contract, overall=overall)

    return prompt, parse


def describe(assembly: Assembly) -> dict[str, Json]:
    """Return what the report says of how a run was made."""
    parts = assembly.parts
    identities: Mapping[str, Mapping[str, Json]] = {
        "editor": parts.editor.identity,
        "judge": parts.judge.identity,
    }
    return {
        "run": assembly.name,
        "suite": assembly.suite.name,
        "editor": parts.editor.name,
        "judge": parts.judge.name,
        "notes": list(assembly.notes),
        "rubric": {
            "name": assembly.rubric.name,
            "digest": keys.digest("rubric", asdict(assembly.rubric)),
        },
        "scale": [assembly.rubric.low, assembly.rubric.high],
        "identities": {role: dict(identity) for role, identity in identities.items()},
    }
