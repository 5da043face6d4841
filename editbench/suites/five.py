"""The five-category JSON: one list, or an object of lists, with every image inlined as base64.

Such files have half a gigabyte, so they are scanned once for where the items are, and an item's
texts are read, without its image, when somebody asks for the pair.
"""

from __future__ import annotations

import json
from array import array
from pathlib import Path, PurePosixPath

from editbench.errors import SuiteError
from editbench.records import Json, Pair, Picture
from editbench.suites.files import read_picture, read_range
from editbench.suites.json_items import Item, UnknownShape, scan
from editbench.suites.look import NOTHING, Language, Look
from editbench.suites.text_fields import Fields

_IMAGE = "src_img_b64"
_KNOWN = {_IMAGE, "subset", "edit_instruction", "edit_instruction_en", "original_image_path"}
_MAX_TEXT = 1 << 24  #: bytes of an item beside its image; more is a sign of lost quotes
_SHAPES = (
    "known shapes: a list of items, or {category: [items]}, where an item has "
    "subset, edit_instruction(_en), src_img_b64"
)


class FiveSuite:
    """A suite in the five-category JSON format."""

    def __init__(self, path: Path, *, language: Language = "en") -> None:
        """Find the items; raises ``SuiteError`` if the file is not of this format."""
        self.name = path.name
        self._path = path
        self._suffix = "_en" if language == "en" else ""
        self._places = array("q")  #: start, end, image start, image end: four numbers an item
        self._groups: list[str] = []
        self._group_of = array("l")
        self._faults: dict[int, str] = {}
        try:
            with path.open("rb") as file:
                for item in scan(file, field=_IMAGE):
                    self._add(item)
        except OSError as exc:
            raise SuiteError(f"cannot read {path}: {exc.strerror or exc}") from exc
        except UnknownShape:
            raise SuiteError(f"{path} has none of the shapes of a suite", hint=_SHAPES) from None
        self._refuse_strangers()

    def __len__(self) -> int:
        return len(self._group_of)

    def __getitem__(self, index: int) -> Pair:
        return self.look(index).sound()

    def look(self, index: int) -> Look:
        """Return the pair as far as it can be read, with its faults."""
        index = range(len(self))[index]
        place = f"{self.name} item {index + 1}"
        if index in self._faults:
            return Look(place, NOTHING, (self._faults[index],))
        try:
            values = self._values(index)
        except SuiteError as exc:
            return Look(place, NOTHING, (str(exc),))
        group = self._groups[self._group_of[index]]
        if group and values.get("subset") is None:
            values["subset"] = group
        fields = Fields(values)
        category = fields.required(["subset"])
        instruction = fields.required(["edit_instruction" + self._suffix])
        description = fields.optional(["original_description" + self._suffix])
        picture = self._picture(index)
        if picture is None or not picture.length:
            fields.faults.append(f"{_IMAGE} is empty" if picture else f"no {_IMAGE}")
        path = PurePosixPath(str(values.get("original_image_path") or "").replace("\\", "/"))
        pair = Pair(
            id=path.stem or f"{category}_{index}",
            category=category,
            instruction=instruction,
            sources=(picture,) if picture else (),
            description=description,
            extra=fields.rest(),
        )
        return Look(f"{place} ({pair.id})", pair, tuple(fields.faults))

    def read(self, picture: Picture) -> bytes:
        """Return the encoded bytes of an image. Raises ``SuiteError``. Any thread."""
        return read_picture(picture)

    def _add(self, item: Item) -> None:
        if item.fault:
            self._faults[len(self)] = item.fault
        if not self._groups or self._groups[-1] != item.group:
            self._groups.append(item.group)
        self._group_of.append(len(self._groups) - 1)
        self._places.extend((item.start, item.end, item.text_start, item.text_end))

    def _picture(self, index: int) -> Picture | None:
        _, _, start, end = self._places[4 * index : 4 * index + 4]
        if start < 0:
            return None
        return Picture(str(self._path), offset=start, length=end - start, base64=True)

    def _values(self, index: int) -> dict[str, Json]:
        """Parse an item without its image. Raises ``SuiteError``."""
        start, end, image_start, image_end = self._places[4 * index : 4 * index + 4]
        if image_start < 0:
            image_start = image_end = end
        if (image_start - start) + (end - image_end) > _MAX_TEXT:
            raise SuiteError("the item does not end: a quote or a bracket is missing")
        before = read_range(self._path, start, image_start - start)
        after = read_range(self._path, image_end, end - image_end)
        try:
            values = json.loads((before + after).decode("utf-8"))
        except UnicodeDecodeError as exc:
            raise SuiteError(f"not UTF-8: {exc.reason}") from exc
        except json.JSONDecodeError as exc:
            at = len(exc.doc[: exc.pos].encode()) + start
            at += image_end - image_start if at >= image_start else 0
            raise SuiteError(f"not JSON: {exc.msg} at byte {at}") from exc
        except RecursionError as exc:
            raise SuiteError("not JSON that can be read: nested too deep") from exc
        if not isinstance(values, dict):
            raise SuiteError(f"expected an object with fields, got a {type(values).__name__}")
        values.pop(_IMAGE, None)
        return values

    def _refuse_strangers(self) -> None:
        """Raise ``SuiteError`` if none of the first items has any of our fields."""
        found: list[str] = []
        for index in range(min(len(self), 8)):
            if self._picture(index):
                return
            try:
                values = self._values(index)
            except SuiteError:
                return  # a fault to be listed with the others
            if _KNOWN & values.keys():
                return
            found += [name for name in values if name not in found]
        if found:
            names = ", ".join(found[:8])
            raise SuiteError(
                f"the items of {self._path} have none of our fields (they have {names})",
                hint=_SHAPES + "; a table belongs in a .jsonl or .csv file",
            )
