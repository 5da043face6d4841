"""The values that every room passes on: frozen, without behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Json = Any  #: str, int, float, bool, None, or lists and str-keyed mappings of them

State = Literal[
    "ok",
    "edit_failed",
    "edit_invalid",
    "refused",
    "truncated",
    "unparsable",
    "out_of_range",
    "judge_failed",
]
FAILURES: tuple[State, ...] = get_args(State)[1:]  #: every state but ok


@dataclass(frozen=True, slots=True)
class Picture:
    """Where an image's bytes are, before anything is opened."""

    path: str  #: file that holds them, or a name that only its suite understands
    offset: int = 0  #: first byte inside the file
    length: int = -1  #: bytes, -1 for all that follow
    base64: bool = False  #: the bytes are base64 text


@dataclass(frozen=True, slots=True)
class Pair:
    """One or more source images and one instruction."""

    id: str
    category: str
    instruction: str
    sources: tuple[Picture, ...]
    description: str = ""  #: what the source shows; may be empty
    extra: Mapping[str, Json] = field(default_factory=dict)  #: other fields of the suite, kept


@dataclass(frozen=True, slots=True)
class Facts:
    """What decoding a pair's sources told, in their order."""

    pixels: tuple[str, ...]  #: SHA-256 of each one's mode, size and pixels, 64 hex digits
    sizes: tuple[tuple[int, int], ...]  #: width and height of the upright image


@dataclass(frozen=True, slots=True)
class Edit:
    """What is known of a finished edit, its pixels aside."""

    key: str  #: its place in the store
    pixels: str  #: hash of the decoded image: mode, size and bytes
    width: int
    height: int
    bytes: int  #: in the store
    seconds: float  #: on the device, a clock reading


@dataclass(frozen=True, slots=True)
class Reply:
    """What a judge answered, word for word."""

    text: str
    finish: Literal["stop", "length", "refused"] = "stop"
    tokens: int = 0  #: generated; 0 where the backend does not know


@dataclass(frozen=True, slots=True)
class Verdict:
    """A reply after strict parsing. Without a valid score ``overall`` is None, never a default."""

    state: State
    criteria: Mapping[str, float] = field(default_factory=dict)
    overall: float | None = None
    reason: str = ""
    message: str = ""  #: why it is not ok


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a pair has no edit or no verdict."""

    state: State
    error: str  #: class name of the error
    message: str  #: its text, first line
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a run knows of one pair: one line of ``items.jsonl``."""

    pair: Pair
    verdict: Verdict
    edit: Edit | None = None
    reply: Reply | None = None
    score_seconds: float = 0.0  #: on the device, a clock reading
    failure: Failure | None = None

    @property
    def state(self) -> State:
        return self.failure.state if self.failure else self.verdict.state
