"""A run's progress where it is seen from afar: the terminal's title, and its tab or task bar."""

from __future__ import annotations

from collections.abc import Callable, Mapping

PUSH, POP = "\x1b[22;0t", "\x1b[23;0t"  # XTWINOPS: where it is unknown, the title ends up empty
NO_TITLE = "\x1b]0;\x07"
NO_PROGRESS = "\x1b]9;4;0;0\x07"
AGAIN = 5.0  #: seconds after which a progress is told again: ghostty forgets it after fifteen

#: Programs whose terminals take OSC 9;4 for a progress; others show it as a message.
PROGRAMS = {"WezTerm", "ghostty", "vscode", "WarpTerminal", "mintty"}


class Title:
    """Sets title and progress, and puts back what was there."""

    def __init__(self, write: Callable[[str], None], environ: Mapping[str, str]) -> None:
        self._write = write
        self._has_progress = _has_progress(environ)
        self._shown: tuple[str, int] | None = None
        self._told = 0.0

    def show(self, text: str, share: float, *, now: float) -> None:
        """Show a text without control characters, and how much of the whole is done."""
        percent = int(100 * share)
        codes = ""
        if self._shown is None:
            codes += PUSH
        if self._shown is None or self._shown[0] != text:
            codes += f"\x1b]0;{text}\x07"
        is_new = self._shown is None or self._shown[1] != percent
        if self._has_progress and (is_new or now - self._told >= AGAIN):
            codes += f"\x1b]9;4;1;{percent}\x07"
            self._told = now
        self._shown = text, percent
        if codes:
            self._write(codes)

    def restore(self) -> None:
        """Undo what was shown."""
        if self._shown is not None:
            self._write((NO_PROGRESS if self._has_progress else "") + NO_TITLE + POP)
            self._shown = None


def _has_progress(environ: Mapping[str, str]) -> bool:
    program = environ.get("TERM_PROGRAM", "")
    if program == "iTerm.app":  # from 3.6.6 on; before, it was a notification
        version = environ.get("TERM_PROGRAM_VERSION", "").split(".")
        return [int(part) for part in version if part.isdigit()] >= [3, 6, 6]
    return (
        program in PROGRAMS
        or environ.get("ConEmuANSI") == "ON"
        or any(name in environ for name in ("WT_SESSION", "KONSOLE_VERSION"))
    )
