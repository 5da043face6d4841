from __future__ import annotations

import base64
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from editbench.cli import graphics
from editbench.cli.dashboard import view
from editbench.cli.live import LiveDashboard
from editbench.cli.modes import Thumbnails
from editbench.cli.painter import Painter
from editbench.cli.terminal import Terminal
from editbench.cli.thumbnails import Pair, method
from tests.cli.builders import started, state_after
from tests.cli.emulator import Emulator

GRAPHICS = [Thumbnails.KITTY, Thumbnails.ITERM2, Thumbnails.SIXEL]
SHOWN = [Thumbnails.BLOCKS, *GRAPHICS]


def gradient(width: int = 90, height: int = 60) -> Image.Image:
    bands = [
        Image.linear_gradient("L").rotate(90 * turn).resize((width, height)) for turn in (0, 1, 2)
    ]
    return Image.merge("RGB", bands)


def pair(how: Thumbnails) -> Pair:
    return Pair("猫-1", gradient(), gradient(60, 60), how)


def seen(sixels: str) -> Image.Image:
    """Decode a sixel picture, as DEC STD 070 tells."""
    head = re.match(r'\x1bP[\d;]*q"1;1;(\d+);(\d+)', sixels)
    assert head and sixels.endswith("\x1b\\")
    image = Image.new("RGB", (int(head[1]), int(head[2])), "magenta")
    palette: dict[int, tuple[int, ...]] = {}
    x = y = color = 0
    tokens = r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)(.)|([$-])|([?-~])"
    for found in re.finditer(tokens, sixels[head.end() : -2]):
        number, red, green, blue, chosen, count, repeated, move, single = found.groups()
        if number:
            palette[int(number)] = tuple(round(int(part) * 2.55) for part in (red, green, blue))
        elif chosen:
            color = int(chosen)
        elif move:
            x, y = 0, y + 6 * (move == "-")
        else:
            for _ in range(int(count or 1)):
                bits = ord(repeated or single) - 63
                for bit in range(6):
                    if bits >> bit & 1:
                        image.putpixel((x, y + bit), palette[color])  # type: ignore[arg-type]
                x += 1
    return image


@pytest.mark.parametrize("size", [(90, 60), (7, 13), (1, 1)])
def test_sixels_are_the_picture_but_for_the_colors_of_a_palette(size: tuple[int, int]) -> None:
    image = gradient(*size)
    back = seen(graphics.sixel(image))
    assert back.size == image.size
    difference = ImageChops.difference(back, image.quantize(graphics.COLORS).convert("RGB"))
    assert max(high for _, high in difference.getextrema()) <= 2  # percents are coarser


def test_kitty_gets_the_picture_in_chunks_and_loses_it_at_the_end() -> None:
    noise = Image.effect_noise((200, 200), 90).convert("RGB")
    codes = graphics.kitty(noise, 20, 10, number=1)
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", codes)
    assert "".join(f"\x1b_G{keys};{part}\x1b\\" for keys, part in chunks) == codes
    assert len(chunks) > 1 and all(len(part) <= graphics.CHUNK for _, part in chunks)
    first = dict(key.split("=") for key in chunks[0][0].split(","))
    assert (first["a"], first["c"], first["r"], first["m"]) == ("T", "20", "10", "1")
    assert [keys for keys, _ in chunks[1:]] == ["m=1"] * (len(chunks) - 2) + ["m=0"]
    png = base64.b64decode("".join(part for _, part in chunks))
    assert ImageChops.difference(Image.open(io.BytesIO(png)), noise).getbbox() is None
    assert f"i={first['i']}," in graphics.kitty_gone(2)


def test_iterm2_gets_the_picture_and_its_cells() -> None:
    found = re.fullmatch(r"\x1b\]1337;File=(.*):(.*)\x07", graphics.iterm2(gradient(), 20, 10))
    assert found and "width=20;height=10" in found[1]
    image = Image.open(io.BytesIO(base64.b64decode(found[2])))
    assert ImageChops.difference(image, gradient()).getbbox() is None


@given(st.sampled_from(SHOWN), st.integers(1, 150), st.integers(1, 50), st.integers(1, 300))
def test_a_dashboard_with_pictures_stays_within_the_window(
    how: Thumbnails, width: int, height: int, tall: int
) -> None:
    shown = Pair("p", gradient(100, tall), gradient(30, 300), how)
    terminal = Emulator(max(2, width), height + 1)
    lines = terminal.console.render_lines(
        view(state_after(37), width, height, shown), terminal.console.options.update(width=width)
    )
    assert len(lines) <= height
    assert all(sum(segment.cell_length for segment in line) <= width for line in lines)


@pytest.mark.parametrize("how", GRAPHICS)
def test_graphics_are_written_once_and_again_only_if_the_window_changes(how: Thumbnails) -> None:
    terminal = Emulator(120, 40)
    dashboard = LiveDashboard(
        terminal.console, clock=iter(range(100)).__next__, environ={"X": ""}, thumbnails=how
    )
    dashboard._method = how  # an emulator's cells have no pixels, so that sixels would be blocks
    mark = {"kitty": "a=T", "iterm2": "File=inline", "sixel": "\x1bP0;1q"}[how]
    dashboard(started())
    dashboard.show("p", gradient(), gradient())
    for expected in (2, 0, 0):
        terminal.written.clear()
        dashboard.draw()
        assert terminal.text.count(mark) == expected
    terminal.resize(110, 35)
    terminal.written.clear()
    dashboard.draw()
    assert terminal.text.count(mark) == 2
    assert (graphics.kitty_gone(2) in terminal.text) is (how is Thumbnails.KITTY)


def test_half_blocks_show_the_picture() -> None:
    terminal = Emulator(60, 20)
    image = Image.new("RGB", (10, 20), "red")
    image.paste("blue", (0, 10, 10, 20))
    fitted = Pair("p", image, image, Thumbnails.BLOCKS).fitted(60, 3)
    assert fitted is not None
    (first, *_), _, (last, *_) = terminal.console.render_lines(fitted, pad=False)
    assert (first.text, last.text) == ("▀", "▀")
    assert first.style and first.style.color and first.style.color.triplet == (255, 0, 0)
    assert last.style and last.style.bgcolor and last.style.bgcolor.triplet == (0, 0, 255)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}, Thumbnails.KITTY),
        ({"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1", "TMUX": "/tmp/x"}, Thumbnails.BLOCKS),
        ({"TERM_PROGRAM": "iTerm.app"}, Thumbnails.ITERM2),
        ({"TERM": "foot-extra"}, Thumbnails.SIXEL),
        ({"TERM": "xterm-256color"}, Thumbnails.BLOCKS),
    ],
)
def test_the_environment_tells_what_a_terminal_can_show(
    environ: dict[str, str], expected: Thumbnails
) -> None:
    assert graphics.best(environ) is expected


def test_pictures_are_shown_only_where_they_can_be() -> None:
    console = Emulator().console
    assert method(Thumbnails.AUTO, console, {"TERM": "foot"}) is Thumbnails.BLOCKS  # no pixels told
    assert method(Thumbnails.OFF, console, {"KITTY_WINDOW_ID": "1"}) is Thumbnails.OFF
    for plain in (
        Terminal(file=io.StringIO(), force_terminal=True, ascii=True, color_system="standard"),
        Terminal(file=io.StringIO(), force_terminal=True, no_color=True, color_system="standard"),
    ):
        assert method(Thumbnails.AUTO, plain, {}) is Thumbnails.OFF


def test_a_name_is_shown_above_its_pictures() -> None:
    terminal = Emulator(80, 24)
    Painter(terminal.console).draw(view(state_after(37), 80, 23, pair(Thumbnails.BLOCKS)), (80, 24))
    rows = terminal.rows()
    at = next(number for number, row in enumerate(rows) if row.startswith("猫 -1") or "猫" in row)
    assert rows[at + 1].startswith("▀" * 10)
