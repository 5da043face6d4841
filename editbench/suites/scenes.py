"""The pictures of the demo suite, drawn by code: one function a scene.

``tone`` (0 to 2) changes what no text of the suite mentions, such as the shade of a wall.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from editbench.suites.canvas import Canvas, Point

if TYPE_CHECKING:
    from PIL.Image import Image

_WALLS = ("#f3e9d8", "#e6ecf0", "#efe3e6")
_FLOORS = ("#c79a6b", "#b98d63", "#d1a878")
_SKIES = ("#a9d8f5", "#bfe3f7", "#9ccdf0")
_LAWNS = ("#8cc46a", "#9bcf74", "#7db65f")
_ROADS = ("#8b8f96", "#7f848c", "#979ba1")


def draw(scene: str, *, width: int, height: int, tone: int) -> Image:
    """Return the picture of a scene. Raises ``KeyError`` for a name that is not a scene."""
    background, paint = _SCENES[scene]
    canvas = Canvas(width, height, background[tone])
    paint(canvas, tone)
    return canvas.picture()


def _table(c: Canvas, tone: int) -> None:
    c.area(0, 0.62, 1, 0.74, "#9b6a3c")
    c.area(0, 0.74, 1, 1, "#7a512c")
    c.box((0.3, 0.66), 0.24, 0.4, "#dcebf2", round_by=0.02)
    c.box((0.3, 0.65), 0.21, 0.2, "#5aa9dd", round_by=0.01)
    c.oval(c.beside((0.3, 0.65), 0, -0.2), 0.21, 0.035, "#86c5ec")
    c.line((0.3, 0.66), [(-0.085, -0.04), (-0.085, -0.36)], "#ffffff", width=0.012)
    ball = c.beside((0.72, 0.68), 0, -0.12)
    c.oval((0.72, 0.68), 0.22, 0.05, "#7d532f")
    c.disc(ball, 0.12, "#d23c34")
    c.disc(c.beside(ball, -0.04, -0.045), 0.03, "#f08a80")


def _street(c: Canvas, tone: int) -> None:
    c.disc((0.88, 0.13), 0.08, "#ffd54a")
    c.area(0, 0.76, 1, 1, _ROADS[tone])
    c.area(0, 0.74, 1, 0.78, "#c9c3b6")
    houses = ((0.14, 0.34, "#e0705a"), (0.42, 0.5, "#f0c95c"), (0.7, 0.28, "#f5f0e6"))
    for x, tall, wall in houses:
        c.box((x, 0.75), 0.26, tall, wall)
        c.shape((x, 0.75), [(-0.16, -tall), (0, -tall - 0.13), (0.16, -tall)], "#7b4a3a")
        c.box(c.beside((x, 0.75), -0.05), 0.07, 0.14, "#5b3b2a")
        c.box(c.beside((x, 0.75), 0.06, -0.13), 0.07, 0.07, "#a7d3ea")
        c.box(c.beside((x, 0.75), -0.05, -tall + 0.11), 0.07, 0.07, "#a7d3ea")
    c.box((0.92, 0.75), 0.03, 0.18, "#7a5534")
    c.disc(c.beside((0.92, 0.75), 0, -0.22), 0.09, "#4f9a52")
    c.box((0.45, 0.89), 0.3, 0.06, "#3f8f5f", round_by=0.02)
    c.box(c.beside((0.45, 0.89), 0, -0.05), 0.17, 0.06, "#3f8f5f", round_by=0.02)
    for dx in (-0.09, 0.09):
        c.disc(c.beside((0.45, 0.89), dx), 0.032, "#2e2e33")


def _park(c: Canvas, tone: int) -> None:
    c.area(0, 0.55, 1, 1, _LAWNS[tone])
    c.shape((0.5, 0.55), [(-0.05, 0), (0.05, 0), (0.3, 0.5), (-0.3, 0.5)], "#e3d2ab")
    for x in (0.1, 0.9):
        c.box((x, 0.62), 0.04, 0.2, "#7a5534")
        c.disc(c.beside((x, 0.62), 0, -0.26), 0.13, "#4c9150")
    c.box((0.2, 0.78), 0.26, 0.03, "#8a5a33")
    c.box(c.beside((0.2, 0.78), 0, -0.05), 0.26, 0.03, "#8a5a33")
    for dx in (-0.1, 0.1):
        c.box(c.beside((0.2, 0.78), dx, 0.05), 0.02, 0.07, "#4d4d52")
    for x, shirt in ((0.38, "#d24b43"), (0.62, "#3f74c4"), (0.84, "#e6b534")):
        _person(c, (x, 0.88), 0.36, shirt)


def _candle(c: Canvas, tone: int) -> None:
    c.area(0, 0.7, 1, 1, _FLOORS[tone])
    c.oval((0.3, 0.76), 0.26, 0.07, "#8d8f94")
    c.box((0.3, 0.76), 0.12, 0.36, "#f7efdb", round_by=0.02)
    tip = c.beside((0.3, 0.76), 0, -0.36)
    c.line(tip, [(0, 0), (0, -0.04)], "#3a332d", width=0.012)
    c.oval(c.beside(tip, 0, -0.09), 0.07, 0.14, "#f59a2c")
    c.oval(c.beside(tip, 0, -0.07), 0.035, 0.08, "#ffe48a")
    c.oval((0.7, 0.78), 0.4, 0.1, "#ffffff")
    c.oval((0.7, 0.775), 0.3, 0.06, "#e4e8ec")
    c.box((0.7, 0.785), 0.2, 0.2, "#bfe3f2", round_by=0.03)
    c.shape((0.7, 0.785), [(-0.07, -0.16), (0.02, -0.16), (-0.07, -0.07)], "#e6f6fc")


def _boxes(c: Canvas, tone: int) -> None:
    c.area(0, 0.66, 1, 1, _FLOORS[tone])
    for x, front, lid in (
        (0.17, "#cf4a3f", "#e5766b"),
        (0.45, "#3e78c2", "#6b9cdc"),
        (0.73, "#e9bd3b", "#f5d676"),
    ):
        c.shape((x, 0.74), [(-0.11, -0.22), (-0.07, -0.27), (0.15, -0.27), (0.11, -0.22)], lid)
        c.shape((x, 0.74), [(0.11, 0), (0.11, -0.22), (0.15, -0.27), (0.15, -0.05)], lid)
        c.box((x, 0.74), 0.22, 0.22, front)
    _cat(c, (0.86, 0.9))


def _cat(c: Canvas, at: Point) -> None:
    fur = "#77757c"
    c.line(at, [(0.06, -0.02), (0.12, -0.05), (0.11, -0.14)], fur, width=0.03)
    c.oval(c.beside(at, 0, -0.08), 0.15, 0.18, fur)
    head = c.beside(at, -0.03, -0.19)
    for side in (-1, 1):
        c.shape(head, [(side * 0.065, -0.1), (side * 0.07, 0), (side * 0.01, -0.05)], fur)
    c.disc(head, 0.07, fur)
    for side in (-1, 1):
        c.disc(c.beside(head, side * 0.027, -0.01), 0.013, "#e7e36a")


def _lake(c: Canvas, tone: int) -> None:
    c.disc((0.2, 0.16), 0.07, "#ffe07a")
    for x, tall, color in (
        (0.25, 0.34, "#7f95ad"),
        (0.62, 0.42, "#6d849d"),
        (0.95, 0.3, "#8ba0b6"),
    ):
        c.shape((x, 0.58), [(-0.5, 0), (0, -tall), (0.5, 0)], color)
        top = [(-0.09, -tall + 0.08), (0, -tall), (0.09, -tall + 0.08)]
        c.shape((x, 0.58), top, "#f4f7fa")
    c.area(0, 0.57, 1, 0.9, "#4f94c4")
    c.area(0, 0.9, 1, 1, "#d9c38f")
    boat = (0.56, 0.72)
    c.shape(boat, [(-0.15, 0), (0.15, 0), (0.1, 0.06), (-0.1, 0.06)], "#8a4b32")
    c.line(boat, [(0, 0), (0, -0.3)], "#5b3b2a", width=0.014)
    c.shape(boat, [(0.015, -0.02), (0.015, -0.29), (0.14, -0.02)], "#ffffff")
    c.shape(boat, [(-0.015, -0.02), (-0.015, -0.24), (-0.11, -0.02)], "#f1f1ec")


def _dominoes(c: Canvas, tone: int) -> None:
    c.area(0, 0.6, 1, 1, _FLOORS[tone])
    c.oval((0.14, 0.77), 0.2, 0.04, "#8c6a48")
    c.disc(c.beside((0.14, 0.77), 0, -0.09), 0.09, "#3f7d4f")
    for number in range(6):
        foot = (0.34 + 0.11 * number, 0.77)
        c.box(foot, 0.055, 0.24, "#fafaf5", round_by=0.012)
        c.line(foot, [(-0.02, -0.12), (0.02, -0.12)], "#33333a", width=0.008)
        c.disc(c.beside(foot, 0, -0.18), 0.011, "#33333a")
        c.disc(c.beside(foot, 0, -0.06), 0.011, "#33333a")


def _room(c: Canvas, tone: int) -> None:
    c.area(0, 0.74, 1, 1, _FLOORS[tone])
    c.box((0.3, 0.52), 0.38, 0.36, "#ffffff")
    c.box(c.beside((0.3, 0.52), 0, -0.02), 0.34, 0.32, "#a6d9f4")
    c.line((0.3, 0.52), [(0, 0), (0, -0.35)], "#ffffff", width=0.02)
    c.box((0.82, 0.34), 0.2, 0.16, "#a67c45")
    c.box(c.beside((0.82, 0.34), 0, -0.02), 0.16, 0.12, "#d8e5cf")
    c.box((0.6, 0.86), 0.32, 0.34, "#4f7f86", round_by=0.05)
    c.box((0.6, 0.87), 0.4, 0.16, "#5f949b", round_by=0.05)
    c.line((0.9, 0.86), [(0, 0), (0, -0.36)], "#55504a", width=0.016)
    c.box((0.9, 0.86), 0.12, 0.02, "#55504a")
    c.shape((0.9, 0.86), [(-0.08, -0.34), (-0.04, -0.46), (0.04, -0.46), (0.08, -0.34)], "#d9c9a3")


def _meal(c: Canvas, tone: int) -> None:
    c.disc((0.5, 0.53), 0.29, "#ffffff")
    c.disc((0.5, 0.53), 0.2, "#eef0f2")
    metal = "#70757c"
    fork = c.beside((0.5, 0.53), -0.38)
    c.line(fork, [(0, -0.06), (0, 0.24)], metal, width=0.022)
    for dx in (-0.03, 0, 0.03):
        c.line(fork, [(dx, -0.22), (dx, -0.08)], metal, width=0.012)
    c.line(fork, [(-0.03, -0.08), (0.03, -0.08)], metal, width=0.02)
    knife = c.beside((0.5, 0.53), 0.38)
    c.line(knife, [(0, 0), (0, 0.24)], metal, width=0.026)
    c.shape(knife, [(-0.015, 0.02), (-0.015, -0.22), (0.025, -0.16), (0.025, 0.02)], metal)
    cup = c.beside((0.5, 0.53), 0.36, -0.38)
    c.disc(cup, 0.1, "#c0573e")
    c.disc(cup, 0.075, "#5a3620")


def _garden(c: Canvas, tone: int) -> None:
    c.area(0, 0.68, 1, 1, _LAWNS[tone])
    for x, tall in ((0.16, 0.12), (0.4, 0.22), (0.64, 0.36)):
        foot = c.beside((x, 0.84), 0, -0.14)
        c.line(foot, [(0, 0), (0, -tall)], "#3f8a45", width=0.02)
        for step in range(1, int(tall / 0.06) + 1):
            side = 1 if step % 2 else -1
            leaf = c.beside(foot, side * 0.04, -step * 0.06)
            c.oval(leaf, 0.08, 0.04, "#57a85a")
        c.oval(c.beside(foot, 0, -tall), 0.06, 0.05, "#57a85a")
        c.shape((x, 0.84), [(-0.09, -0.15), (0.09, -0.15), (0.06, 0), (-0.06, 0)], "#b8623c")
    can = (0.87, 0.88)
    c.line(can, [(-0.06, -0.05), (-0.14, -0.15)], "#5b7fae", width=0.025)
    c.line(can, [(0.05, -0.13), (0.11, -0.11), (0.06, -0.03)], "#5b7fae", width=0.018)
    c.box(can, 0.14, 0.15, "#5b7fae", round_by=0.015)


def _balloon(c: Canvas, tone: int) -> None:
    for dx, radius in ((-0.07, 0.06), (0, 0.08), (0.08, 0.055)):
        c.disc(c.beside((0.25, 0.2), dx), radius, "#ffffff")
    c.area(0, 0.68, 1, 1, _LAWNS[tone])
    _person(c, (0.4, 0.9), 0.34, "#efc23d")
    hand = c.beside((0.4, 0.9), 0.085, -0.17)
    c.line(hand, [(0, 0), (0.1, -0.24)], "#6b6b70", width=0.006)
    balloon = c.beside(hand, 0.1, -0.34)
    c.oval(balloon, 0.17, 0.21, "#d8342f")
    c.oval(c.beside(balloon, -0.035, -0.045), 0.035, 0.055, "#f28b84")


def _queue(c: Canvas, tone: int) -> None:
    c.area(0, 0.1, 1, 0.55, "#dccfc0")
    for x in (0.15, 0.4, 0.65, 0.9):
        c.box((x, 0.4), 0.12, 0.18, "#9fc3d8")
    c.area(0, 0.55, 1, 0.86, "#c8c3b8")
    c.area(0, 0.86, 1, 1, _ROADS[tone])
    c.line((0.1, 0.82), [(0, 0), (0, -0.5)], "#55565c", width=0.016)
    c.box(c.beside((0.1, 0.82), 0, -0.46), 0.13, 0.1, "#2f66b0", round_by=0.015)
    c.box(c.beside((0.1, 0.82), 0, -0.49), 0.08, 0.035, "#ffffff", round_by=0.01)
    for x, shirt in ((0.27, "#4f8f5b"), (0.46, "#8a5ba6"), (0.65, "#d78a35"), (0.84, "#3b6ea8")):
        _person(c, (x, 0.84), 0.34, shirt)


def _person(c: Canvas, foot: Point, tall: float, shirt: str) -> None:
    skin, trousers = "#e0ac84", "#3d4556"
    for side in (-1, 1):
        c.box(c.beside(foot, side * 0.1 * tall), 0.14 * tall, 0.4 * tall, trousers)
        shoulder = (side * 0.15 * tall, -0.7 * tall)
        c.line(foot, [shoulder, (side * 0.25 * tall, -0.48 * tall)], skin, width=0.08 * tall)
    c.box(c.beside(foot, 0, -0.36 * tall), 0.36 * tall, 0.4 * tall, shirt, round_by=0.07 * tall)
    head = c.beside(foot, 0, -0.88 * tall)
    c.disc(c.beside(head, 0, -0.025 * tall), 0.14 * tall, "#4a3426")
    c.disc(c.beside(head, 0, 0.01 * tall), 0.12 * tall, skin)


_SCENES: dict[str, tuple[tuple[str, ...], Callable[[Canvas, int], None]]] = {
    "table": (_WALLS, _table),
    "street": (_SKIES, _street),
    "park": (_SKIES, _park),
    "candle": (_WALLS, _candle),
    "boxes": (_WALLS, _boxes),
    "lake": (_SKIES, _lake),
    "dominoes": (_WALLS, _dominoes),
    "room": (_WALLS, _room),
    "meal": (("#b8835a", "#a9744d", "#c4946b"), _meal),
    "garden": (_SKIES, _garden),
    "balloon": (_SKIES, _balloon),
    "queue": (_SKIES, _queue),
}
