"""Where log records go: warnings to the terminal, everything to the run's ``editbench.log``."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import SimpleQueue

from rich.logging import RichHandler

from editbench.cli.terminal import Terminal

NAME = "editbench.log"
FORMAT = "%(asctime)s %(levelname)-7s %(threadName)s %(name)s: %(message)s"
LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)  #: by how often -v was given


@contextmanager
def to_terminal(console: Terminal, *, verbose: int) -> Iterator[None]:
    """Show log records on the console that the display uses: two consoles would tear it apart.

    What libraries warn of at most is for the log, unless asked for. A thread shows the records, so
    that a terminal which accepts no more does not hold up who logs.
    """
    shown = RichHandler(console=console, show_path=False, markup=False, log_time_format="%X")
    records: SimpleQueue[logging.LogRecord] = SimpleQueue()
    handler = QueueHandler(records)
    handler.setLevel(LEVELS[min(verbose, len(LEVELS) - 1)])
    if not verbose:
        handler.addFilter(_is_ours_or_an_error)
    listener = QueueListener(records, shown)
    listener.start()
    try:
        with _attached(handler):
            yield
    finally:
        listener.stop()


def _is_ours_or_an_error(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] == "editbench" or record.levelno >= logging.ERROR


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
