"""Which display a run gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol

from editbench.cli.dashboard import HELPS
from editbench.cli.jsonlines import JsonLines
from editbench.cli.live import LiveDashboard
from editbench.cli.modes import Mode, Thumbnails
from editbench.cli.plain import PlainLines
from editbench.cli.streams import own_terminal, private_stdout
from editbench.cli.terminal import Terminal
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
    mode: Mode, console: Terminal, environ: Mapping[str, str], *, quiet: bool, verbose: bool
) -> Mode:
    """Return the display to use: the dashboard where someone watches, lines elsewhere.

    Log lines would drown the dashboard, so that ``verbose`` means lines too. Where no frame can be
    drawn there is no dashboard, even if asked for.
    """
    if quiet:
        return Mode.NONE
    if mode is Mode.AUTO:
        is_watched = console.is_interactive and not console.is_jupyter and not environ.get("CI")
        mode = Mode.DASHBOARD if is_watched and not verbose else Mode.PLAIN
    return Mode.PLAIN if mode is Mode.DASHBOARD and not console.can_draw else mode


@contextmanager
def opened(
    mode: Mode,
    console: Terminal,
    *,
    thumbnails: Thumbnails = Thumbnails.OFF,
    helps: Sequence[str] = HELPS,
) -> Iterator[Display]:
    """Open a display, and close it in a way that leaves the terminal and the stream sane.

    Meanwhile stdout is ours: what others print goes to stderr, or aside if that is drawn on.
    """
    with ExitStack() as stack:
        aside = stack.enter_context(own_terminal(console)) if mode is Mode.DASHBOARD else None
        write = stack.enter_context(private_stdout())
        if mode is Mode.DASHBOARD:
            dashboard = LiveDashboard(console, aside=aside, thumbnails=thumbnails, helps=helps)
            yield stack.enter_context(dashboard)
        elif mode is Mode.JSON:
            lines = JsonLines(write)
            stack.push(lambda kind, error, trace: lines.close(error))
            yield lines
        else:
            yield PlainLines(console) if mode is Mode.PLAIN else Nothing()
