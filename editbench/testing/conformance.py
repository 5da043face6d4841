"""Checks that an editor or a judge does what the engine relies on."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from editbench.engine.protocols import (
    Editor,
    EditRequest,
    Judge,
    Model,
    PartedEditor,
    Question,
    Stop,
)
from editbench.errors import Stopped
from editbench.records import Json, Reply

if TYPE_CHECKING:
    from PIL.Image import Image

_CONTRACT: Mapping[str, Json] = {
    "type": "object",
    "properties": {
        "following": {"type": "integer", "minimum": 0, "maximum": 10},
        "quality": {"type": "integer", "minimum": 0, "maximum": 10},
        "reason": {"type": "string", "maxLength": 40},
    },
    "required": ["following", "quality", "reason"],
    "additionalProperties": False,
}


def check_editor(editor: Editor) -> None:
    """Load an editor, try it, close it. Raises ``AssertionError`` with the promise it broke."""
    _expect(isinstance(editor, Editor), "it has every member of the Editor protocol")
    with _loaded(editor):
        requests = [
            EditRequest("red", (_picture(1),), "make it red", 1),
            EditRequest("blur", (_picture(2, size=(64, 96)),), "blur the background", 2),
            EditRequest("night", (_picture(3),), "turn day into night", 3),
        ]
        sources = [request.images[0].tobytes() for request in requests]
        alone = [editor.edit([request], stop=_go_on)[0] for request in requests]
        _expect(all(edit.mode == "RGB" for edit in alone), "edits are RGB images")
        _expect(
            [request.images[0].tobytes() for request in requests] == sources,
            "the source images stay as they were",
        )
        again = editor.edit(requests[:1], stop=_go_on)[0]
        _expect(_same(again, alone[0]), "the same request gives the same pixels")
        together = editor.edit(requests[: editor.max_batch], stop=_go_on)
        _expect(len(together) == min(3, editor.max_batch), "there is one edit for each request")
        for edit, own in zip(together, alone, strict=False):
            nearest = min(alone, key=lambda other: _distance(edit, other))
            _expect(nearest is own, "edits come back in the order of the requests")
        _check_stop(lambda stop: editor.edit(requests[:1], stop=stop))
        after = editor.edit(requests[:1], stop=_go_on)[0]
        _expect(_same(after, alone[0]), "a stopped call leaves nothing behind")
        if getattr(editor, "parts", ()):
            _check_parts(cast(PartedEditor, editor), requests, alone)


def check_judge(judge: Judge) -> None:
    """Load a judge, try it, close it. Raises ``AssertionError`` with the promise it broke."""
    _expect(isinstance(judge, Judge), "it has every member of the Judge protocol")
    with _loaded(judge):
        questions = [
            Question(name, images, "You judge image edits.", f"Rate the edit: {name}", _CONTRACT)
            for name, images in {
                "make it red": (_picture(1), _picture(4)),
                "blur": (_picture(2, size=(64, 96)), _picture(5), _picture(6)),
                "night": (_picture(3), _picture(7, size=(128, 64))),
            }.items()
        ]
        alone = [judge.ask([question], stop=_go_on)[0] for question in questions]
        _expect(all(isinstance(reply, Reply) for reply in alone), "replies are Reply records")
        again = judge.ask(questions[:1], stop=_go_on)
        _expect(again == alone[:1], "the same question gets the same reply")
        together = judge.ask(questions[: judge.max_batch], stop=_go_on)
        _expect(
            together == alone[: judge.max_batch],
            "a batch gets the replies of its questions, in order",
        )
        _check_stop(lambda stop: judge.ask(questions[:1], stop=stop))
        after = judge.ask(questions[:1], stop=_go_on)
        _expect(after == alone[:1], "a stopped call leaves nothing behind")


def _check_parts(
    editor: PartedEditor, requests: Sequence[EditRequest], whole: Sequence[Image]
) -> None:
    *earlier, last = [part.name for part in editor.parts]
    names = {name for part in editor.parts for name in part.modules}
    _expect(names <= editor.modules().keys(), "its parts name modules that it has")
    _expect(editor.state_bytes(64, 64) > 0, "it estimates what its states take")
    states = [b""] * len(requests)
    for name in earlier:

        def first(stop: Stop, name: str = name, state: bytes = states[0]) -> bytes:
            return editor.run_part(name, requests[0], state, stop=stop)

        _check_stop(first)
        states = [
            editor.run_part(name, request, state, stop=_go_on)
            for request, state in zip(requests, states, strict=True)
        ]
    _expect(all(type(state) is bytes and state for state in states), "states are bytes")
    _check_stop(lambda stop: editor.finish_parts(requests[0], states[0], stop=stop))
    edits = [
        editor.finish_parts(request, state, stop=_go_on)
        for request, state in zip(requests, states, strict=True)
    ]
    same = all(map(_same, edits, whole))
    _expect(same, f"an edit in parts, {', '.join(earlier)} and {last}, has the whole one's pixels")


@contextlib.contextmanager
def _loaded(model: Model) -> Iterator[None]:
    with _silent_stdout():
        identity = _identity(model)
        _expect(bool(model.name), "it has a name")
        _expect(model.footprint >= 0, "its footprint is known before it is loaded")
        _expect(model.max_batch >= 1, "max_batch is at least 1")
        _expect(model.working_bytes(64, 64) >= 0, "working_bytes is not negative")
        _check_small_devices(model)
        try:
            model.load()
            _expect(_identity(model) == identity, "loading does not change its identity")
            _expect(all(model.modules()), "its modules have names")
            yield
            json.dumps(model.provenance(), allow_nan=False)
        finally:
            model.close()
            model.close()
        _expect(_identity(model) == identity, "closing does not change its identity")


def _check_small_devices(model: Any) -> None:
    """Check what a model says, before it is loaded, of devices that do not hold it."""
    if hasattr(model, "smaller"):
        sizes = model.smaller().values()
        _expect(all(0 < size < model.footprint for size in sizes), "smaller settings are smaller")
    if hasattr(model, "streaming"):
        for budget in (0, model.footprint // 2, max(0, model.footprint - 1)):
            takes = model.streaming(budget)
            fits = takes is None or (takes.held <= budget and 0 < takes.moved <= model.footprint)
            _expect(fits, "streamed, it keeps to the budget and moves no more than it has")


def _identity(model: Model) -> str:
    text = json.dumps(model.identity, allow_nan=False, sort_keys=True)
    _expect(json.loads(text) == model.identity, "its identity is made of plain JSON values")
    _expect(bool(model.identity), "its identity says what determines a result")
    return text


def _check_stop(call: Callable[[Callable[[], bool]], Any]) -> None:
    for polls in (0, 1):
        asked = 0

        def stop(polls: int = polls) -> bool:
            nonlocal asked
            asked += 1
            return asked > polls

        try:
            call(stop)
        except Stopped:
            continue
        _expect(asked <= polls, "a stop request raises Stopped at the next step")
        _expect(asked > 0, "the stop request is read at all")


def _go_on() -> bool:
    return False


def _expect(kept: bool, promise: str) -> None:
    if not kept:
        raise AssertionError(f"broken promise: {promise}")


@contextlib.contextmanager
def _silent_stdout() -> Iterator[None]:
    # Both ways: what Python prints, and what C code writes to the descriptor.
    printed = io.StringIO()
    sys.stdout.flush()
    saved = os.dup(1)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 1)
        try:
            with contextlib.redirect_stdout(printed):
                yield
        finally:
            os.dup2(saved, 1)
            os.close(saved)
        text = printed.getvalue() + os.pread(written.fileno(), 200, 0).decode(errors="replace")
    _expect(not text, f"nothing is printed to stdout, where JSON may go: {text[:60]!r}")


def _picture(seed: int, *, size: tuple[int, int] = (96, 64)) -> Image:
    from PIL import Image as Images

    width, height = size
    noise = hashlib.shake_256(bytes([seed])).digest(width * height * 3 // 64)
    rough = Images.frombytes("RGB", (width // 8, height // 8), noise)
    return rough.resize(size, Images.Resampling.BICUBIC)


def _same(one: Image, other: Image) -> bool:
    return one.size == other.size and one.tobytes() == other.tobytes()


def _distance(one: Image, other: Image) -> float:
    from PIL import ImageChops, ImageStat

    if one.size != other.size:
        return float("inf")
    return float(sum(ImageStat.Stat(ImageChops.difference(one, other)).sum))
