"""Where log records go: warnings to the terminal, everything to the run's ``editbench.log``."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

NAME = "editbench.log"
FORMAT = "%(asctime)s %(levelname)-7s %(threadName)s %(name)s: %(message)s"
LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)  #: by how often -v was given


@contextmanager
def to_terminal(console: Console, *, verbose: int) -> Iterator[None]:
    """Show log records on the console that the display uses: two consoles would tear it apart."""
    handler = RichHandler(console=console, show_path=False, markup=False)
    handler.setLevel(LEVELS[min(verbose, len(LEVELS) - 1)])
    with _attached(handler):
        yield


@contextmanager
def to_folder(folder: Path) -> Iterator[Path]:
    """Append everything at debug level to the log in a run's folder, and yield where that is."""
    path = folder / NAME
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter(FORMAT))
    with _attached(handler):
        yield path


@contextmanager
def _attached(handler: logging.Handler) -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("editbench")
    level = own.level
    root.addHandler(handler)
    own.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        own.setLevel(level)
        root.removeHandler(handler)
        handler.close()
