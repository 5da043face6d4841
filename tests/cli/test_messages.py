from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from editbench import errors
from editbench.cli.commands import Screen, command
from editbench.cli.messages import LoggedBug, tell
from editbench.cli.text import counted, middle, of_bytes, plain


def told(error: BaseException, *, verbose: bool = False) -> tuple[int, list[str]]:
    stream = io.StringIO()
    code = tell(Console(file=stream, width=40), error, verbose=verbose)
    return code, stream.getvalue().splitlines()


def outcome(function: Callable[[], object]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command that does this."""

    @command
    def probe(*, screen: Screen) -> object:
        return function()

    app = typer.Typer()
    app.command()(probe)
    result = CliRunner().invoke(app)
    return result.exit_code, result.stdout, result.stderr


def test_an_error_says_what_the_parts_and_what_to_do() -> None:
    error = errors.ConfigError("run.toml has 2 problems", problems=["a  b", "c"], hint="try d")
    assert told(error) == (2, ["error: run.toml has 2 problems", "  a  b", "  c", "  try d"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("x"), 2),
        (errors.SuiteError("x"), 2),
        (errors.ResultError("x"), 2),
        (errors.TooManyFailures("x"), 3),
        (errors.DoesNotFit("x"), 4),
        (errors.StoreFull("x"), 4),
        (errors.RunLocked("x"), 4),
        (errors.Stopped("x"), 130),
        (ValueError("x"), 1),
    ],
)
def test_the_exit_code_tells_bad_input_bad_machine_and_bug_apart(
    error: Exception, code: int
) -> None:
    def fail() -> None:
        raise error

    found, stdout, stderr = outcome(fail)
    assert found == code
    assert stdout == "" and "error: " in stderr


def test_what_a_command_returns_is_the_exit_code() -> None:
    assert outcome(lambda: 3)[0] == 3
    assert outcome(lambda: None)[0] == 0


def test_an_error_in_a_group_of_tasks_is_told_as_itself() -> None:
    def fail() -> None:
        raise ExceptionGroup("tasks", [ValueError("noise"), errors.StoreFull("no room")])

    code, _, stderr = outcome(fail)
    assert code == 4 and "error: no room" in stderr


def test_the_traceback_is_shown_only_when_asked_for() -> None:
    assert not any("Traceback" in line for line in told(errors.StoreFull("x"))[1])
    assert told(errors.StoreFull("no room"), verbose=True)[1][-1].endswith("StoreFull: no room")


def test_a_bug_says_where_its_traceback_is() -> None:
    try:
        try:
            raise ZeroDivisionError("oh")
        except ZeroDivisionError as exc:
            raise LoggedBug(Path("runs/x/editbench.log")) from exc
    except LoggedBug as exc:
        code, lines = told(exc)
    assert code == 1
    assert lines[0] == "error: this is a bug in editbench: ZeroDivisionError: oh"
    assert lines[1] == "  the traceback is in runs/x/editbench.log"


def test_a_bug_without_a_log_shows_its_traceback() -> None:
    lines = told(ZeroDivisionError("oh"))[1]
    assert lines[0] == "ZeroDivisionError: oh"
    assert "  the traceback is above" in lines


def test_markup_in_a_message_is_only_text() -> None:
    assert told(errors.SuiteError("pair [/b] [red]x"))[1] == ["error: pair [/b] [red]x"]


@given(st.text(st.characters(codec=None)))
def test_plain_text_commands_nothing(text: str) -> None:
    bad = {chr(code) for code in (*range(32), *range(0x7F, 0xA0), *range(0xD800, 0xE000))}
    assert not bad & set(plain(text))


def test_amounts_share_a_unit_where_they_can() -> None:
    assert of_bytes(5 * 10**9, 8 * 10**9) == "5.00 of 8.00 GB"
    assert of_bytes(5 * 10**6, 8 * 10**9) == "5.00 MB of 8.00 GB"
    assert of_bytes(5 * 10**6, 0) == "5.00 MB"


def test_counts_have_their_plural() -> None:
    assert [counted(n, "pair") for n in (0, 1, 2)] == ["0 pairs", "1 pair", "2 pairs"]
    assert counted(3, "category") == "3 categories"


def test_a_quantile_is_one_of_the_values() -> None:
    assert middle([]) is None
    assert middle([3.0, 1.0, 2.0]) == 2.0
    assert middle([1.0, 2.0], 0.95) == 2.0
