"""A quick editor without a model: real changes, chosen by words of the instruction.

For demos, tests, and for trying a suite before any model is there. It understands little, does it
in milliseconds, and always changes something.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from editbench.engine.protocols import EditRequest, Stop
from editbench.errors import Stopped
from editbench.records import Json

if TYPE_CHECKING:
    from PIL.Image import Image

VERSION = 1  #: raise it when the same settings would make another edit

Change = Callable[["Image", Random], "Image"]


class PillowSettings(BaseModel):
    """What can be set for the editor without a model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strength: float = Field(1.0, gt=0, le=1, description="how much of the change is kept")


class PillowEditor:
    """Keyword rules behind the Editor protocol."""

    Settings: ClassVar[type[BaseModel]] = PillowSettings

    def __init__(self, settings: PillowSettings) -> None:
        self._settings = settings

    @property
    def name(self) -> str:
        return "pillow"

    @property
    def identity(self) -> Mapping[str, Json]:
        return {"backend": "pillow", "version": VERSION, "strength": self._settings.strength}

    @property
    def footprint(self) -> int:
        return 0

    @property
    def max_batch(self) -> int:
        return 1

    def working_bytes(self, width: int, height: int) -> int:
        return 0  # nothing of it is on a device

    def load(self) -> None:
        """Do nothing; there is no model."""

    def modules(self) -> Mapping[str, Any]:
        return {}

    def edit(self, requests: Sequence[EditRequest], *, stop: Stop) -> list[Image]:
        """Edit the last image of each request by the rules whose words its instruction holds."""
        edits = []
        for request in requests:
            if stop():
                raise Stopped("stopped before an edit")
            edits.append(self._edit(request))
        return edits

    def provenance(self) -> Mapping[str, Json]:
        return {"versions": {"pillow": version("pillow")}}

    def close(self) -> None:
        """Do nothing; there is no model."""

    def _edit(self, request: EditRequest) -> Image:
        from PIL import Image as Images

        source = request.images[-1].convert("RGB")
        chance = Random(request.seed)
        edit = source
        for change in changes(request.instruction):
            edit = change(edit, chance)
        if edit.size != source.size or self._settings.strength == 1:
            return edit
        return Images.blend(source, edit, self._settings.strength)


def changes(instruction: str) -> list[Change]:
    """Return what an English or Chinese instruction asks for, in the order of the rules.

    An instruction that no rule knows gets a framed, slightly recoloured picture.
    """
    found = [rule.change for rule in _RULES if re.search(rule.words, instruction, re.IGNORECASE)]
    return found or [_frame]


class _Rule(NamedTuple):
    words: str
    change: Change


def _enhance(kind: str, factor: float) -> Change:
    def change(image: Image, chance: Random) -> Image:
        from PIL import ImageEnhance

        return getattr(ImageEnhance, kind)(image).enhance(factor)  # type: ignore[no-any-return]

    return change


def _tint(red: float, green: float, blue: float) -> Change:
    def change(image: Image, chance: Random) -> Image:
        matrix = (red, 0, 0, 0, 0, green, 0, 0, 0, 0, blue, 0)
        return image.convert("RGB", matrix)

    return change


def _operation(name: str) -> Change:
    def change(image: Image, chance: Random) -> Image:
        from PIL import ImageOps

        return getattr(ImageOps, name)(image).convert("RGB")  # type: ignore[no-any-return]

    return change


def _filter(name: str, *numbers: float) -> Change:
    def change(image: Image, chance: Random) -> Image:
        from PIL import ImageFilter

        return image.filter(getattr(ImageFilter, name)(*numbers))

    return change


def _rotate(image: Image, chance: Random) -> Image:
    from PIL import Image as Images

    return image.transpose(Images.Transpose.ROTATE_90)


def _specks(color: str, *, length: int) -> Change:
    def change(image: Image, chance: Random) -> Image:
        from PIL import ImageDraw

        changed = image.copy()
        draw = ImageDraw.Draw(changed)
        radius = max(1, min(image.size) // 100)
        for _ in range(60 + image.width * image.height // 2000):
            x, y = chance.randrange(image.width), chance.randrange(image.height)
            draw.ellipse((x, y, x + radius, y + radius * length), fill=color)
        return changed

    return change


def _frame(image: Image, chance: Random) -> Image:
    from PIL import ImageOps

    colors = ("#c0392b", "#2471a3", "#1e8449", "#b7950b", "#7d3c98")
    border = max(1, min(image.size) // 25)
    softened = _enhance("Color", 0.7)(image, chance)
    inside = softened.resize((max(1, image.width - 2 * border), max(1, image.height - 2 * border)))
    framed = ImageOps.expand(inside, border, fill=chance.choice(colors))
    return framed.resize(image.size)


_RULES = (
    _Rule(r"black.and.white|monochrome|gr[ae]y ?scale|黑白|灰度", _operation("grayscale")),
    _Rule(r"\binvert|negative|反色|负片", _operation("invert")),
    _Rule(r"\bflip|upside|翻转|上下颠倒", _operation("flip")),
    _Rule(r"\bmirror|镜像|左右", _operation("mirror")),
    _Rule(r"\brotate|turn .*(left|sideways)|旋转", _rotate),
    _Rule(r"\bblur|out of focus|foggy|\bfog\b|mist|模糊|虚化|雾", _filter("GaussianBlur", 4)),
    _Rule(r"\bsharp|清晰|锐化", _filter("UnsharpMask", 3, 200)),
    _Rule(r"sketch|outline|pencil|素描|线稿", _filter("CONTOUR")),
    _Rule(r"cartoon|poster|painting|卡通|油画|海报", _filter("ModeFilter", 5)),
    _Rule(r"\bbright|\blighter|sunny|daylight|更亮|变亮|明亮|白天", _enhance("Brightness", 1.5)),
    _Rule(r"\bdark|\bnight|dim\b|更暗|变暗|夜", _enhance("Brightness", 0.5)),
    _Rule(r"contrast|对比", _enhance("Contrast", 1.6)),
    _Rule(r"vivid|colou?rful|saturat|鲜艳|饱和", _enhance("Color", 1.8)),
    _Rule(r"\bwarm|sunset|autumn|golden|暖|夕阳|日落|秋", _tint(1.2, 1.0, 0.75)),
    _Rule(r"\bcold|\bcool|\bwinter|\bice\b|frozen|冷|冬|冰", _tint(0.8, 1.0, 1.25)),
    _Rule(r"\bred\b|红", _tint(1.3, 0.7, 0.7)),
    _Rule(r"\bgreen\b|绿", _tint(0.7, 1.2, 0.7)),
    _Rule(r"\bblue\b|蓝", _tint(0.7, 0.8, 1.3)),
    _Rule(r"\byellow\b|黄", _tint(1.2, 1.1, 0.5)),
    _Rule(r"\bpurple\b|\bpink\b|紫|粉", _tint(1.2, 0.7, 1.2)),
    _Rule(r"snow|雪", _specks("white", length=1)),
    _Rule(r"\brain|雨", _specks("#9fb6c9", length=12)),
)
