"""Finds the items of a very large JSON file without parsing them: a stream of byte offsets.

It does not say whether an item is valid JSON; whoever parses the item will. Damage stays local:
the scan picks itself up at the next item, so that one bad item does not hide the others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_CHUNK = 1 << 20
_HEAD = 1 << 10  #: bytes of a string that are kept; long enough for names
_TOKEN = re.compile(rb'["{}\[\],:]|[^\s"{}\[\],:]+')
_BOM = b"\xef\xbb\xbf"


class Item(NamedTuple):
    """Where an item is: byte offsets, ends exclusive."""

    group: str  #: key of the list that it stands in; empty in a single list
    start: int
    end: int
    text_start: int = -1  #: the wanted text, between its quotes; -1 without one
    text_end: int = -1
    fault: str = ""


class UnknownShape(Exception):
    """The file is neither a list nor an object of lists."""


def scan(file: BinaryIO, *, field: str) -> Iterator[Item]:
    """Yield the items of ``[...]`` or ``{key: [...], ...}``, with the place of ``field``'s text.

    Text that does not belong, and a missing end, are items with a fault. Raises ``UnknownShape``.
    """
    lexer = _Lexer(file)
    try:
        kind, _ = lexer.token()
    except EOFError:
        raise UnknownShape from None
    try:
        if kind == b"[":
            yield from _items(lexer, field.encode(), group="")
        elif kind == b"{":
            yield from _groups(lexer, field.encode())
        else:
            raise UnknownShape
    except EOFError:
        yield Item("", lexer.offset, lexer.offset, fault="the file ends too early")
        return
    try:
        _, start = lexer.token()
    except EOFError:
        return
    yield Item("", start, start, fault="the list is over here, but the file goes on")


def _groups(lexer: _Lexer, field: bytes) -> Iterator[Item]:
    """Yield the items of an object of lists whose bracket has just been read."""
    while True:
        kind, _ = lexer.token()
        if kind == b"}":
            return
        if kind == b",":
            continue
        if kind != b'"':
            raise UnknownShape
        _, head = lexer.string()
        if lexer.token()[0] != b":" or lexer.token()[0] != b"[":
            raise UnknownShape
        yield from _items(lexer, field, group=_name(head or b""))


def _items(lexer: _Lexer, field: bytes, *, group: str) -> Iterator[Item]:
    """Yield what stands between the commas of a list whose bracket has just been read."""
    first = True
    while True:
        start = lexer.offset
        stretch = _stretch(lexer, field)
        is_empty_list = first and stretch.closed_by == b"]"
        if not stretch.is_blank or (stretch.closed_by and not is_empty_list):
            yield Item(group, start, stretch.end, *stretch.text)
        if not stretch.closed_by:
            raise EOFError
        if stretch.closed_by == b"]":
            return
        first = False


class _Stretch(NamedTuple):
    """What there is up to the end of an item."""

    end: int
    text: tuple[int, int]
    closed_by: bytes  #: a comma, a bracket, or nothing where the file ends
    is_blank: bool


def _stretch(lexer: _Lexer, field: bytes) -> _Stretch:
    """Read to the comma or bracket that ends an item, sound or not."""
    text = (-1, -1)
    brackets = bytearray()  #: those open inside the item
    key, is_value, is_blank = b"", False, True
    try:
        while True:
            kind, at = lexer.token()
            if kind in (b"]", b",") and _closes(kind, brackets):
                return _Stretch(at, text, kind, is_blank)
            if kind == b"{" and brackets == b"{" and not is_value:
                # An object where a key should be: the item before it was never closed.
                lexer.step_back()
                return _Stretch(at, text, b",", is_blank)
            is_blank = False
            if kind == b'"':
                end, head = lexer.string()
                if head is None:
                    is_value = False  # a guess: it lets the next item begin
                elif brackets == b"{" and is_value and key == field:
                    text = (at + 1, end)
                elif not is_value:
                    key = head
            elif kind in (b"{", b"["):
                brackets += kind
            elif kind in (b"}", b"]"):
                _close(kind, brackets)
            elif brackets == b"{" and kind in (b":", b","):
                is_value = kind == b":"
    except EOFError:
        return _Stretch(lexer.offset, text, b"", is_blank)


def _closes(kind: bytes, brackets: bytearray) -> bool:
    """Whether a ``]`` or ``,`` ends the item: nothing that it could belong to is open."""
    return b"[" not in brackets if kind == b"]" else not brackets


def _close(kind: bytes, brackets: bytearray) -> None:
    """Close the nearest bracket of the kind, and with it what was left open inside."""
    place = brackets.rfind(b"{" if kind == b"}" else b"[")
    if place >= 0:
        del brackets[place:]


def _name(head: bytes) -> str:
    try:
        return str(json.loads(b'"' + head + b'"'))
    except ValueError:
        return head.decode("utf-8", "replace")


class _Lexer:
    """Reads tokens through a window of one chunk; strings are skipped, not held."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._window = file.read(_CHUNK)
        self._base = 0  #: offset of the window in the file
        self._at = len(_BOM) if self._window.startswith(_BOM) else 0

    @property
    def offset(self) -> int:
        return self._base + self._at

    def token(self) -> tuple[bytes, int]:
        """Return the next token and its offset. Literals may come in parts. Raises ``EOFError``."""
        while True:
            match = _TOKEN.search(self._window, self._at)
            if match:
                self._at = match.end()
                return match[0], self._base + match.start()
            self._next_window()

    def step_back(self) -> None:
        """Return the last token, of one byte, to the stream."""
        self._at -= 1

    def string(self) -> tuple[int, bytes | None]:
        """Skip the rest of a string; return the offset of its end and its first bytes.

        A line break ends it too, without bytes: none may stand in a JSON string, and after a
        forgotten quote it keeps the damage to one line. Raises ``EOFError``.
        """
        head = b""
        slashes = 0  #: backslashes just before ``start``
        while True:
            window, start = self._window, self._at
            quote = window.find(b'"', start)
            stop = len(window) if quote < 0 else quote
            line = window.find(b"\n", start, stop)
            if line >= 0:
                self._at = line
                return self._base + line, None
            head += window[start : min(stop + 1, start + _HEAD - len(head))]
            run = _trailing_slashes(window, start, stop)
            slashes = run if run < stop - start else slashes + run
            if quote < 0:
                self._next_window()
                continue
            self._at = quote + 1
            if slashes % 2 == 0:
                return self._base + quote, head.removesuffix(b'"')
            slashes = 0

    def _next_window(self) -> None:
        self._at = len(self._window)
        window = self._file.read(_CHUNK)
        if not window:
            raise EOFError
        self._base += len(self._window)
        self._window, self._at = window, 0


def _trailing_slashes(window: bytes, start: int, stop: int) -> int:
    count = 0
    while stop - count > start and window[stop - count - 1] == 0x5C:
        count += 1
    return count
