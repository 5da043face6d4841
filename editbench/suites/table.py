"""Suites as a table: JSON lines or CSV, one row a pair, images in files beside it.

Rows are found once, by byte offset, and read when somebody asks for the pair.
"""

from __future__ import annotations

import csv
import io
import json
import os
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from editbench.errors import SuiteError
from editbench.records import Json, Pair, Picture
from editbench.suites.files import read_picture, read_range
from editbench.suites.look import NOTHING, Language, Look
from editbench.suites.text_fields import Fields

_BOM = b"\xef\xbb\xbf"
_SUFFIXES: dict[Language, tuple[str, ...]] = {"en": ("_en", ""), "zh": ("_zh", "_cn", "")}
_SOURCES = ("source", "sources", "image", "source_image")
_SEPARATOR = "|"  #: between several source images in one CSV cell


class _Row(NamedTuple):
    start: int  #: first byte
    end: int  #: after the last byte
    line: int  #: from 1


class TableSuite:
    """A suite in JSON lines (``.jsonl``) or CSV (``.csv``), UTF-8.

    Columns: id, category, instruction, description, source (also image, source_image; or sources
    for several); a text column with the suffix of the language comes before the plain one.
    All other columns end up in ``Pair.extra``.
    """

    def __init__(self, path: Path, *, language: Language = "en") -> None:
        """Find the rows; raises ``SuiteError`` if the file cannot be read or lacks columns."""
        self.name = path.name
        self._path = path
        self._folder = os.path.dirname(path)
        suffixes = _SUFFIXES[language]
        self._instruction = ["instruction" + suffix for suffix in suffixes]
        self._description = ["description" + suffix for suffix in suffixes]
        self._header: list[str] | None = None
        self._places = array("q")  #: start, end, line: three numbers a row
        try:
            with path.open("rb") as file:
                if path.suffix.lower() == ".csv":
                    rows = _csv_rows(file)
                    self._header = self._read_header(rows)
                else:
                    rows = _json_rows(file)
                for row in rows:
                    self._places.extend(row)
        except OSError as exc:
            raise SuiteError(f"cannot read {path}: {exc.strerror or exc}") from exc

    def __len__(self) -> int:
        return len(self._places) // 3

    def __getitem__(self, index: int) -> Pair:
        return self.look(index).sound()

    def look(self, index: int) -> Look:
        """Return the pair as far as it can be read, with its faults."""
        index = range(len(self))[index]
        row = _Row(*self._places[3 * index : 3 * index + 3])
        place = f"{self.name}:{row.line}"
        try:
            text = _text(read_range(self._path, row.start, row.end - row.start))
            values = _object(text) if self._header is None else _record(text, self._header)
        except SuiteError as exc:
            return Look(place, NOTHING, (str(exc),))
        fields = Fields(values)
        separator = "" if self._header is None else _SEPARATOR
        pair = Pair(
            id=fields.required(["id"]),
            category=fields.required(["category"]),
            instruction=fields.required(self._instruction),
            sources=tuple(map(self._picture, fields.texts(_SOURCES, separator=separator))),
            description=fields.optional(self._description),
            extra=fields.rest(),
        )
        return Look(place, pair, tuple(fields.faults))

    def read(self, picture: Picture) -> bytes:
        """Return the encoded bytes of an image. Raises ``SuiteError``. Any thread."""
        return read_picture(picture)

    def _picture(self, path: str) -> Picture:
        return Picture(os.path.join(self._folder, path))

    def _read_header(self, rows: Iterator[_Row]) -> list[str]:
        """Take the first row as column names. Raises ``SuiteError`` for each that lacks."""
        first = next(rows, None)
        if first is None:
            raise SuiteError(f"{self._path} is empty: not even column names")
        text = _text(read_range(self._path, first.start, first.end - first.start))
        names = [name.strip() for name in _cells(text)]
        wanted = (["id"], ["category"], self._instruction, _SOURCES)
        problems = [
            f"{self.name}:{first.line}: no column {' or '.join(any_of)}"
            for any_of in wanted
            if not set(any_of) & set(names)
        ]
        problems += [
            f"{self.name}:{first.line}: two columns {name!r}"
            for name in dict.fromkeys(names)
            if names.count(name) > 1
        ]
        if problems:
            raise SuiteError(
                f"{self._path} lacks columns" if len(problems) > 1 else problems[0],
                hint=f"it has {', '.join(names)}",
                problems=problems,
            )
        return names


def _json_rows(file: BinaryIO) -> Iterator[_Row]:
    start = 0
    for number, line in enumerate(file, start=1):
        skip = len(_BOM) if number == 1 and line.startswith(_BOM) else 0
        if line[skip:].strip():
            yield _Row(start + skip, start + len(line), number)
        start += len(line)


def _csv_rows(file: BinaryIO) -> Iterator[_Row]:
    """Yield where the records are, by letting ``csv`` say where each one ends."""
    lines = _Lines(file)
    reader = csv.reader(lines, strict=True)
    while True:
        row_start, row_line = lines.offset, lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:  # the row's own reader will say what is wrong with it
            cells = ["?"]
        if cells:
            skip = len(_BOM) if row_start == 0 and lines.has_bom else 0
            yield _Row(row_start + skip, lines.offset, row_line)


class _Lines:
    """Lines of a file as text for ``csv``, counted in bytes; damage in UTF-8 moves no boundary."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.offset = 0  #: bytes handed out
        self.number = 0  #: lines handed out
        self.has_bom = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._file)
        if self.offset == 0 and line.startswith(_BOM):
            self.has_bom = True
        text = line[len(_BOM) * (self.offset == 0 and self.has_bom) :].decode("latin-1")
        self.offset += len(line)
        self.number += 1
        return text


def _text(row: bytes) -> str:
    try:
        return row.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise SuiteError(f"not UTF-8: {exc.reason} at byte {exc.start} of the row") from exc


def _object(text: str) -> Mapping[str, Json]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as exc:
        raise SuiteError(f"not JSON: {exc.msg} at column {exc.colno}") from exc
    except RecursionError as exc:
        raise SuiteError("not JSON that can be read: nested too deep") from exc
    if not isinstance(values, dict):
        raise SuiteError(f"expected an object with fields, got a {type(values).__name__}")
    return values


def _record(text: str, header: list[str]) -> Mapping[str, Json]:
    cells = _cells(text)
    if len(cells) != len(header):
        raise SuiteError(f"{len(cells)} cells, but {len(header)} columns")
    return dict(zip(header, cells, strict=True))


def _cells(text: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline="\n"), strict=True), [])
    except csv.Error as exc:
        raise SuiteError(f"not CSV: {exc}") from exc
