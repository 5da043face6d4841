"""What a state amounts to, in words for one line."""

from __future__ import annotations

from editbench.cli.state import State
from editbench.cli.text import counted, duration, of_bytes
from editbench.engine.events import Reading
from editbench.units import format_bytes


def describe_doing(state: State) -> str:
    """Return what keeps the device from working and how far that is; nothing if it works."""
    if not (doing := state.doing):
        return ""
    size, seconds = format_bytes(doing.bytes), max(0.0, state.now - doing.since)
    if doing.what == "load":
        return f"loading {doing.model}, {size}, {duration(seconds)}"
    device = state.memory.device if state.memory else "the device"
    if not doing.done or not seconds:
        return f"moving {doing.model} to {device}, {size}, {duration(seconds)}"
    rate = doing.done / seconds
    return (
        f"moving {doing.model} to {device}, {of_bytes(doing.done, doing.bytes)}"
        f" at {format_bytes(rate)}/s"
    )


def describe_reading(event: Reading) -> str:
    """Return how far a model's folder is read."""
    return f"{event.model}: {of_bytes(event.done, event.total)} read, once, to know it again"


def describe_start(state: State) -> str:
    """Return what a run consists of: pairs, categories and what is reused."""
    text = f"{counted(state.edit.total, 'pair')}, {counted(len(state.categories), 'category')}"
    if state.edit.reused or state.score.reused:
        edits, scores = counted(state.edit.reused, "edit"), counted(state.score.reused, "score")
        text += f"; reusing {edits}, {scores}"
    return text
