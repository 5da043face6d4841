"""The built-in suite: 36 pairs whose pictures are drawn on demand. It needs no files."""

from __future__ import annotations

import io
import tomllib
from functools import cache
from importlib import resources
from typing import TypedDict, cast

from editbench.errors import SuiteError
from editbench.records import Pair, Picture
from editbench.suites.look import Language
from editbench.suites.scenes import draw

_CHINESE = {
    "physical": "物理",
    "environmental": "环境",
    "social": "社会",
    "causal": "因果",
    "referential": "指代",
}
_PREFIX = "demo/"


class _Entry(TypedDict):
    id: str
    category: str
    scene: str
    size: tuple[int, int]
    tone: int
    en: str
    zh: str


class _Texts(TypedDict):
    scenes: dict[str, dict[Language, str]]
    pairs: list[_Entry]


@cache
def _texts() -> _Texts:
    text = resources.files(__package__).joinpath("demo.toml").read_text(encoding="utf-8")
    return cast(_Texts, tomllib.loads(text))


class DemoSuite:
    """The demo suite in one language; the ids are the same in both."""

    name = "demo"

    def __init__(self, *, language: Language = "en") -> None:
        self._language = language
        self._pairs = _texts()["pairs"]

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Pair:
        entry = self._pairs[range(len(self))[index]]
        category = entry["category"]
        return Pair(
            id=entry["id"],
            category=_CHINESE[category] if self._language == "zh" else category,
            instruction=entry[self._language],
            sources=(Picture(_PREFIX + entry["id"]),),
            description=_texts()["scenes"][entry["scene"]][self._language],
            extra={"scene": entry["scene"]},
        )

    def read(self, picture: Picture) -> bytes:
        """Draw an image, as PNG. Raises ``SuiteError`` for one that is not of this suite."""
        for entry in self._pairs:
            if picture.path == _PREFIX + entry["id"]:
                width, height = entry["size"]
                image = draw(entry["scene"], width=width, height=height, tone=entry["tone"])
                file = io.BytesIO()
                image.save(file, "PNG")
                return file.getvalue()
        raise SuiteError(f"the demo suite has no picture {picture.path!r}")
