"""Which display a run gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console

from editbench.cli.jsonlines import JsonLines, private_stdout
from editbench.cli.live import LiveDashboard
from editbench.cli.modes import Mode
from editbench.cli.plain import PlainLines
from editbench.engine.events import Event


class Display(Protocol):
    """What shows a run. Called on the event loop's thread; must not block."""

    def __call__(self, event: Event) -> None:
        """Take an event."""

    def tick(self) -> None:
        """Note that time has passed; called four times a second."""


class Nothing:
    """Shows nothing."""

    def __call__(self, event: Event) -> None:
        """Take an event."""

    def tick(self) -> None:
        """Note that time has passed."""


def choose(
    mode: Mode, console: Console, environ: Mapping[str, str], *, quiet: bool, verbose: bool
) -> Mode:
    """Return the display to use: the dashboard where someone watches, lines elsewhere.

    Log lines would tear the dashboard apart, so that ``verbose`` means lines too.
    """
    if quiet:
        return Mode.NONE
    if mode is not Mode.AUTO:
        return mode
    is_watched = (
        console.is_interactive
        and not console.is_dumb_terminal
        and not console.is_jupyter
        and not environ.get("CI")
    )
    return Mode.DASHBOARD if is_watched and not verbose else Mode.PLAIN


@contextmanager
def opened(mode: Mode, console: Console) -> Iterator[Display]:
    """Open a display, and close it in a way that leaves the terminal and the stream sane."""
    if mode is Mode.DASHBOARD:
        with LiveDashboard(console) as dashboard:
            yield dashboard
    elif mode is Mode.JSON:
        with private_stdout() as write:
            lines = JsonLines(write)
            try:
                yield lines
            except BaseException as exc:
                lines.close(exc)
                raise
            lines.close(None)
    elif mode is Mode.PLAIN:
        yield PlainLines(console)
    else:
        yield Nothing()
