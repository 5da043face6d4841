"""How a picture is written to a terminal: kitty's, iTerm2's and sixel graphics, or half blocks.

Formats: sw.kovidgoyal.net/kitty/graphics-protocol, iterm2.com/documentation-images.html, and
DEC STD 070 for sixels. Nothing is asked of the terminal: its answer would come from the keyboard.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from editbench.cli.modes import Thumbnails

if TYPE_CHECKING:
    from PIL.Image import Image

KITTY_ID = 0x6564  #: of our first image; the next one in its place has the same
CHUNK = 4096  #: characters that kitty takes at once
COLORS = 128  #: of a sixel picture
RUN = re.compile(r"(.)\1{3,}")  #: of sixels that are shorter as their number

#: What terminals can do, by a variable and how its value begins.
KNOWN = (
    ("TMUX", "", Thumbnails.BLOCKS),  # passes no graphics on, whatever is around it
    ("TERM", "screen", Thumbnails.BLOCKS),
    ("KITTY_WINDOW_ID", "", Thumbnails.KITTY),
    ("TERM_PROGRAM", "ghostty", Thumbnails.KITTY),
    ("TERM_PROGRAM", "iTerm.app", Thumbnails.ITERM2),
    ("TERM_PROGRAM", "WezTerm", Thumbnails.ITERM2),
    ("TERM_PROGRAM", "mintty", Thumbnails.ITERM2),
    ("KONSOLE_VERSION", "", Thumbnails.SIXEL),
    ("WT_SESSION", "", Thumbnails.SIXEL),
    ("TERM", "foot", Thumbnails.SIXEL),
    ("TERM", "mlterm", Thumbnails.SIXEL),
    ("TERM", "contour", Thumbnails.SIXEL),
)


def best(environ: Mapping[str, str]) -> Thumbnails:
    """Return what the terminal that the environment tells of can show."""
    for name, start, method in KNOWN:
        if name in environ and environ[name].startswith(start):
            return method
    return Thumbnails.BLOCKS


def kitty(image: Image, columns: int, rows: int, *, number: int) -> str:
    """Return codes that show an image in so many cells from the cursor on.

    It takes the place of the last one with its number.
    """
    text = base64.standard_b64encode(_png(image)).decode()
    parts = [text[at : at + CHUNK] for at in range(0, len(text), CHUNK)]
    head = f"a=T,f=100,i={KITTY_ID + number},p=1,c={columns},r={rows},C=1,q=2,"
    return "".join(
        f"\x1b_G{'' if at else head}m={int(at < len(parts) - 1)};{part}\x1b\\"
        for at, part in enumerate(parts)
    )


def kitty_gone(count: int) -> str:
    """Return codes that take so many images away: erasing the cells does not."""
    return "".join(f"\x1b_Ga=d,d=I,i={KITTY_ID + number},q=2\x1b\\" for number in range(count))


def iterm2(image: Image, columns: int, rows: int) -> str:
    """Return codes that show an image in so many cells from the cursor on."""
    png = _png(image)
    text = base64.standard_b64encode(png).decode()
    size = f"size={len(png)};width={columns};height={rows}"
    return f"\x1b]1337;File=inline=1;preserveAspectRatio=0;{size}:{text}\x07"


def sixel(image: Image) -> str:
    """Return codes that show an image, pixel by pixel, from the cursor on."""
    import numpy as np

    reduced = image.convert("RGB").quantize(COLORS)
    pixels = np.asarray(reduced)
    palette = (reduced.getpalette() or [])[: 3 * (int(pixels.max()) + 1)]
    percents = [round(value * 100 / 255) for value in palette]
    out = [f'\x1bP0;1q"1;1;{reduced.width};{reduced.height}']
    for number in range(len(percents) // 3):
        red, green, blue = percents[3 * number : 3 * number + 3]
        out.append(f"#{number};2;{red};{green};{blue}")
    for top in range(0, reduced.height, 6):
        band = pixels[top : top + 6]
        weights = (1 << np.arange(len(band)))[:, None]
        for color in np.unique(band):
            bits = ((band == color) * weights).sum(axis=0).astype(np.uint8)
            row = (bits + 63).tobytes().decode().rstrip("?")
            out.append(f"#{color}{RUN.sub(lambda run: f'!{len(run[0])}{run[1]}', row)}$")
        out.append("-")
    return "".join(out) + "\x1b\\"


def blocks(image: Image, columns: int, rows: int) -> list[list[Segment]]:
    """Return rows of characters whose upper and lower halves are pixels."""
    pixels = image.convert("RGB").resize((columns, 2 * rows))
    lines = []
    for row in range(rows):
        line = []
        for column in range(columns):
            above, below = (
                Color.from_rgb(*pixels.getpixel((column, 2 * row + half)))  # type: ignore[misc]
                for half in (0, 1)
            )
            line.append(Segment("▀", Style(color=above, bgcolor=below)))
        lines.append(line)
    return lines


def _png(image: Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)
    return data.getvalue()
