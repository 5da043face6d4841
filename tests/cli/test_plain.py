from __future__ import annotations

import io

from rich.console import Console

from editbench.cli.plain import PlainLines
from editbench.engine.events import Checking, Edited, Event, Notice, PhaseStarted, Reading, RunEnded
from tests.cli.builders import a_run, in_parts, memory, scored, started


class Log:
    """A plain display whose lines can be read, without their clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stream = io.StringIO()
        self.display = PlainLines(Console(file=self.stream, width=80), clock=lambda: self.now)

    def take(self, *events: Event) -> list[str]:
        before = len(self.stream.getvalue())
        for event in events:
            self.display(event)
        lines = self.stream.getvalue()[before:].splitlines()
        return [" ".join(line[9:].split(maxsplit=1)) for line in lines]


def test_a_run_is_told_one_fact_a_line() -> None:
    lines = Log().take(*a_run())
    assert lines[:4] == [
        "run kris  kaze  20 pairs, 5 categories; reusing 2 edits, 1 score",
        "models qwen-image-edit -> qwen3-vl",
        "note scores mean nothing",
        "plan phased, 1 batch, 1 swap (36 pair by pair)",
    ]
    assert "swap qwen-image-edit -> qwen3-vl  17.0 GB in 40s at 425 MB/s" in lines
    assert "retry p17  out of memory" in lines
    assert "failed p17  edit_failed: out of memory" in lines
    assert "failed p0  unparsable" in lines
    assert lines[-1].startswith("done ok  18/20 scored  2 failed  overall 4.50 ± 0.50  ")


def test_the_parts_of_edits_are_told_apart() -> None:
    lines = Log().take(*in_parts())
    assert [line.split("  ")[0] for line in lines if line.split()[0] not in ("run", "models")][
        2:
    ] == [
        "encode batch 1 starts, 3 items",
        "encode 3/3",
        "swap qwen-image-edit encode -> qwen-image-edit denoise",
        "denoise batch 1 starts, 3 items",
        "denoise 3/3",
        "decode batch 1 starts, 3 items",
        "decode 3/3",
    ]


def test_progress_is_told_rarely() -> None:
    log = Log()
    log.take(started({"a": 1000}), PhaseStarted(0, "edit", 1, 1000), memory(0))
    edits = [Edited(0.5 * n, f"p{n}", "a", 0.5, 8, 8) for n in range(1, 1001)]
    lines = log.take(*edits)
    # Every 5 % takes 25 s here, so that the 30 s count.
    assert len(lines) == 17
    assert lines[0].startswith("edit 60/1000  6%  120.0/min  left ~7m50s  cuda:0 38.0 of 48.0 GB")
    assert lines[-1].startswith("edit 1000/1000  100%")


def test_slow_progress_is_told_every_five_percent() -> None:
    log = Log()
    log.take(started({"a": 100}), PhaseStarted(0, "edit", 1, 100))
    lines = log.take(*(Edited(60.0 * n, f"p{n}", "a", 60.0, 8, 8) for n in range(1, 101)))
    assert len(lines) == 20


def test_silence_is_broken_after_a_minute() -> None:
    log = Log()
    log.take(started(), PhaseStarted(0, "edit", 1, 20))
    before = log.stream.getvalue()
    log.now = 59
    log.display.tick()
    assert log.stream.getvalue() == before
    log.now = 61
    log.display.tick()
    log.display.tick()
    assert log.stream.getvalue()[len(before) :].count("still   edit  0/20") == 1


def test_a_long_check_of_the_suite_is_told() -> None:
    log = Log()
    lines = log.take(*(Checking(float(n), "kris", n, 100) for n in range(100)))
    assert lines == [f"check kris  {n}/100 pairs" for n in (30, 60, 90)]


def test_long_reading_of_weights_is_told() -> None:
    log = Log()
    lines = log.take(*(Reading(float(n), "judge", n * 10**9, 57 * 10**9) for n in range(57)))
    assert lines == [
        f"read judge: {done} of 57.0 GB read, once, to know it again" for done in ("0 B", "30.0")
    ]


def test_a_notice_before_the_start_is_told() -> None:
    assert Log().take(Notice(0, "info", "the last session was cut off")) == [
        "note the last session was cut off"
    ]


def test_a_stopped_run_says_what_is_stored() -> None:
    log = Log()
    lines = log.take(
        started({"a": 4}),
        PhaseStarted(0, "score", 1, 4),
        scored(1, "p1", "a", 5.0),
        RunEnded(2, "stopped", 2.0, 0, {}),
    )
    assert lines[-1] == (
        "done stopped  0 edits and 1 score are stored  mean so far 5.00  2.0s  0 swaps"
    )


def test_no_line_holds_a_control_character() -> None:
    log = Log()
    lines = log.take(started(), Notice(0, "warning", "a\x1b[2Jb\r\nc"))
    assert lines[-1] == "warning a·[2Jb  c"
