"""A small drawing surface in relative units, so that a scene can be drawn at any size and shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_FINER = 3  #: drawn so many times larger, then reduced: smooth edges

Point = tuple[float, float]


class Canvas:
    """Positions run from 0 to 1 across and down; lengths are shares of the shorter side."""

    def __init__(self, width: int, height: int, background: str) -> None:
        from PIL import Image, ImageDraw

        self._size = (width, height)
        self._image = Image.new("RGB", (width * _FINER, height * _FINER), background)
        self._draw = ImageDraw.Draw(self._image)
        self._unit = min(width, height) * _FINER

    def point(self, x: float, y: float, dx: float = 0, dy: float = 0) -> Point:
        """Return a position, moved by lengths."""
        return (
            x * self._image.width + dx * self._unit,
            y * self._image.height + dy * self._unit,
        )

    def area(self, left: float, top: float, right: float, bottom: float, color: str) -> None:
        """Fill a part of the picture, in positions."""
        self._draw.rectangle((self.point(left, top), self.point(right, bottom)), color)

    def box(
        self, at: Point, width: float, height: float, color: str, *, round_by: float = 0
    ) -> None:
        """Draw a box that stands on ``at``, its middle there."""
        corners = (
            self.point(*at, -width / 2, -height),
            self.point(*at, width / 2, 0),
        )
        self._draw.rounded_rectangle(corners, round_by * self._unit, color)

    def oval(self, at: Point, width: float, height: float, color: str) -> None:
        """Draw an oval around ``at``."""
        corners = (
            self.point(*at, -width / 2, -height / 2),
            self.point(*at, width / 2, height / 2),
        )
        self._draw.ellipse(corners, color)

    def disc(self, at: Point, radius: float, color: str) -> None:
        """Draw a disc around ``at``."""
        self.oval(at, 2 * radius, 2 * radius, color)

    def shape(self, at: Point, corners: list[Point], color: str) -> None:
        """Fill a polygon; its corners are lengths from ``at``."""
        self._draw.polygon([self.point(*at, dx, dy) for dx, dy in corners], color)

    def line(self, at: Point, corners: list[Point], color: str, *, width: float = 0.01) -> None:
        """Draw a line through corners that are lengths from ``at``."""
        points = [self.point(*at, dx, dy) for dx, dy in corners]
        self._draw.line(points, color, max(1, round(width * self._unit)), "curve")

    def beside(self, at: Point, dx: float = 0, dy: float = 0) -> Point:
        """Return the position that lies so far from ``at``, in lengths."""
        x, y = self.point(*at, dx, dy)
        return x / self._image.width, y / self._image.height

    def picture(self) -> Image:
        """Return what was drawn, at its final size."""
        return self._image.reduce(_FINER)
