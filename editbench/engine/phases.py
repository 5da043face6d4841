"""The order of phases: which pairs go through which one when, with what on the device. Pure.

Covers what a change of phase swaps and moves. Does not decide whether models are on the device at
once, one at a time or in parts (see planner).
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from editbench.engine.placement import Extents, claim, overlay, subtract, total
from editbench.engine.protocols import Part

Role = Literal["edit", "score"]
PhaseKind = Literal["edit", "score", "both"]
Keep = Literal["all", "until-scored", "thumbnails"]


@dataclass(frozen=True, slots=True)
class Work:
    """What is left, as positions in the suite, in its order."""

    missing: Sequence[int]  #: pairs without an edit
    ready: Sequence[int]  #: pairs with an edit and without a verdict
    done: int = 0  #: pairs with a verdict
    edit_bytes: int = 0  #: of one stored edit, estimated
    state_bytes: int = 0  #: of what one pair leaves on disk between two parts of its edit
    first: int = 0  #: how many of ``missing`` belong to the first category
    reached: Mapping[int, int] = field(default_factory=dict)  #: parts that are done, if any

    @property
    def unscored(self) -> int:
        """How many pairs have no verdict."""
        return len(self.missing) + len(self.ready)


@dataclass(frozen=True, slots=True)
class PhaseStep:
    """One phase, or one part of an editing phase: what to do for which pairs in which order."""

    kind: PhaseKind
    batch: int  #: phase batch, from 1
    edits: Sequence[int] = ()
    scores: Sequence[int] = ()
    part: str = ""  #: of the edits, if they are made in parts
    models: tuple[str, ...] = ()  #: on the device meanwhile: roles, or modules (see ``module``)

    @property
    def roles(self) -> tuple[Role, ...]:
        return ("edit", "score") if self.kind == "both" else (self.kind,)


def module(name: str) -> str:
    """Return how one of the editor's modules is called where each is a model of its own."""
    return f"edit.{name}"


@dataclass(frozen=True, slots=True)
class Turn:
    """What an editing phase, or a part of one, has on the device."""

    part: str
    models: tuple[str, ...]


def turns(parts: Sequence[Part], *, capacity: int) -> list[Turn]:
    """Return what each part has on the device: its modules, and what stays there for a later part.

    A module stays if there is room for it twice: footprints are estimates, and it must fit.
    """
    out = []
    for number, part in enumerate(parts):
        before = {name for earlier in parts[:number] for name in earlier.modules}
        after = {
            name: size for later in parts[number + 1 :] for name, size in later.modules.items()
        }
        names, taken = list(part.modules), sum(part.modules.values())
        for name in sorted(before & after.keys() - set(names)):
            if taken + 2 * after[name] <= capacity:
                names.append(name)
                taken += after[name]
        out.append(Turn(part.name, tuple(map(module, names))))
    return out


def at_once(work: Work, models: tuple[str, ...]) -> list[PhaseStep]:
    """Return the one phase in which every pair is edited and scored."""
    return [PhaseStep("both", 1, list(work.missing), list(work.ready), models=models)]


def one_by_one(
    work: Work,
    editing: Sequence[Turn],
    scoring: tuple[str, ...],
    *,
    spill_bytes: int | None,
    keep: Keep,
    early_scores: bool,
) -> tuple[list[PhaseStep], list[str]]:
    """Return the phases if the models take turns on the device, and why there are that many.

    Without models for ``scoring`` the scores are made while the last part of the edits is.
    """
    ready = list(work.ready)
    groups, score_first, reasons = _groups(work, spill_bytes, keep=keep, states=len(editing) > 1)
    if early_scores and 0 < work.first < len(groups[0]):
        groups[:1] = [groups[0][: work.first], groups[0][work.first :]]
        reasons.append(
            "the first category's scores come early, at the price of another round of swaps"
        )
    phases: list[PhaseStep] = []
    if score_first:
        phases.append(PhaseStep("score", 1, scores=ready, models=scoring))
        ready = []
    for number, group in enumerate(groups, 1):
        for done, turn in enumerate(editing):
            edits = [i for i in group if not turn.part or work.reached.get(i, 0) <= done]
            if turn is editing[-1] and not scoring:
                phases.append(PhaseStep("both", number, edits, ready, turn.part, turn.models))
            elif edits:
                phases.append(PhaseStep("edit", number, edits, (), turn.part, turn.models))
        if scoring:
            scores = sorted(ready + group)
            phases.append(PhaseStep("score", number, scores=scores, models=scoring))
        ready = []
    return phases, reasons


def _groups(
    work: Work, spill_bytes: int | None, *, keep: Keep, states: bool
) -> tuple[list[list[int]], bool, list[str]]:
    """Cut the missing edits into phase batches; say whether to score what is stored first."""
    missing, edit = list(work.missing), work.edit_bytes
    state = work.state_bytes if states else 0
    if spill_bytes is None:
        return [missing], False, []
    if keep == "all":
        room = max(spill_bytes - edit * len(missing), spill_bytes // 2)
        if state * len(missing) <= room:
            return [missing], False, []
        now = emptied = max(1, room // state)
    elif not edit:
        return [missing], False, []
    else:
        now = spill_bytes // (edit + state)
        emptied = max(1, (spill_bytes + edit * len(work.ready)) // (edit + state))
    if len(missing) <= now:
        return [missing], False, []
    # Editing first costs fewer swaps, but its first batch has only the room that is free now.
    first = [missing[:now]] if now else []
    rest = missing[now:]
    edit_first = first + [rest[i : i + emptied] for i in range(0, len(rest), emptied)]
    score_first = [missing[i : i + emptied] for i in range(0, len(missing), emptied)]
    use_score_first = bool(work.ready) and (not now or len(score_first) < len(edit_first))
    groups = score_first if use_score_first else edit_first
    what = "edits on their way" if state else "edits"
    reason = (
        f"the disk holds about {emptied} {what} at a time, so the pairs go through both phases in "
        f"{len(groups)} batches"
    )
    return groups, use_score_first, [reason]


def changes(before: Collection[str], after: Collection[str]) -> bool:
    """Return whether one step's models were not all there in the step before it."""
    return not set(after) <= set(before)


def belongs(name: str, roles: Collection[str]) -> bool:
    """Return whether a model, or the module of one, is that of one of these roles."""
    return name.partition(".")[0] in roles


def swaps(phases: Sequence[PhaseStep]) -> int:
    """Return how often something else has to go to the device."""
    return sum(changes(before.models, step.models) for before, step in itertools.pairwise(phases))


def together(phases: Sequence[PhaseStep]) -> list[tuple[str, ...]]:
    """Return the models that have to be on the device at once, a set for each kind of step."""
    return list(dict.fromkeys(step.models for step in phases))


def loads(
    phases: Sequence[PhaseStep], sizes: Mapping[str, int], *, capacity: int
) -> list[tuple[str, int]]:
    """Return every load in order: of which model, and how many bytes. Raises ``DoesNotFit``."""
    used = {name: sizes[name] for names in together(phases) for name in names}
    placement = overlay(used, capacity=capacity, together=together(phases))
    held: dict[str, Extents] = {}
    found = []
    for name in _loads(phases):
        missing, lost = claim(placement, held, name=name)
        found.append((name, total(missing)))
        held |= {other: subtract(held[other], gone) for other, gone in lost.items()}
        held[name] = (placement.extents[name],)
    return found


def alive(phases: Sequence[PhaseStep]) -> list[tuple[str, ...]]:
    """Return what is in host memory at once, a set for each kind of step.

    A model is there whole from its first phase to its last, whatever parts of it a step uses.
    """
    names = dict.fromkeys(_loads(phases))
    sets = []
    for number, step in enumerate(phases):
        before = {role for earlier in phases[:number] for role in earlier.roles}
        after = {role for later in phases[number:] for role in later.roles}
        present = {*step.roles, *(before & after)}
        sets.append(tuple(name for name in names if name.partition(".")[0] in present))
    return list(dict.fromkeys(sets))


def loads_anew(phases: Sequence[PhaseStep], sizes: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return every load in order if what leaves the device has to come back as a whole."""
    before: tuple[str, ...] = ()
    found = []
    for step in phases:
        found += [(name, sizes[name]) for name in step.models if name not in before]
        before = step.models
    return found


def _loads(phases: Sequence[PhaseStep]) -> Iterator[str]:
    return (name for step in phases for name in step.models)
