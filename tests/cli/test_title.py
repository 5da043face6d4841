from __future__ import annotations

import pytest

from editbench.cli.title import AGAIN, NO_PROGRESS, NO_TITLE, POP, PUSH, Title


def shown(environ: dict[str, str]) -> list[str]:
    written: list[str] = []
    title = Title(written.append, environ)
    title.show("a 10%", 0.1, now=0.0)
    title.show("a 10%", 0.104, now=1.0)
    title.show("a 10%", 0.104, now=AGAIN + 1)
    title.show("a 20%", 0.2, now=AGAIN + 2)
    title.restore()
    return written


def test_the_title_is_told_when_it_changes_and_put_back() -> None:
    assert shown({}) == [PUSH + "\x1b]0;a 10%\x07", "\x1b]0;a 20%\x07", NO_TITLE + POP]


@pytest.mark.parametrize(
    "environ",
    [
        {"TERM_PROGRAM": "ghostty"},
        {"WT_SESSION": "1"},
        {"TERM_PROGRAM": "iTerm.app", "TERM_PROGRAM_VERSION": "3.10.1"},
    ],
)
def test_a_terminal_with_a_progress_bar_is_told_now_and_then_and_at_the_end(
    environ: dict[str, str],
) -> None:
    told = ["".join(codes.partition("\x1b]9;4")[1:]) for codes in shown(environ)]
    bar = "\x1b]9;4;1;%d\x07"
    assert told == [bar % 10, bar % 10, bar % 20, NO_PROGRESS + NO_TITLE + POP]


def test_an_old_terminal_that_would_pop_up_messages_is_told_nothing() -> None:
    old = {"TERM_PROGRAM": "iTerm.app", "TERM_PROGRAM_VERSION": "3.4.2"}
    assert not any("\x1b]9;" in codes for codes in shown(old))


def test_what_was_never_shown_needs_no_undoing() -> None:
    written: list[str] = []
    Title(written.append, {"WT_SESSION": "1"}).restore()
    assert written == []
