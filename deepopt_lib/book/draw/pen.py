"""A pen for schematics: words, boxes, dots and lines, as SVG.

A drawing is 440 units wide and shown no wider, so that its text of 14 units is 14
pixels on a desk and more than 11 on a phone. Every color is an attribute *and* a
class: the attribute alone is legible on white and on near-black, where nothing else is
known of the page; the site's ``draw.css`` overrules it by the class.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Literal

from deepopt_lib.book.draw.metrics import SIZE, WIDTH, path, text_width, written
from deepopt_lib.book.draw.paint import known, paint

__all__ = ["MARGIN", "At", "Pen", "Point"]

MARGIN = 2.0
"""Text keeps this far from the border."""

At = Literal["start", "middle", "end"]
Point = tuple[float, float]


class Pen:
    """What is drawn so far; every mark takes its place in units, y downwards.

    Parameters
    ----------
    title : str
        What the drawing is, in a few words.
    alt : str
        What is seen, for those who do not see it.
    height : float
        Units; the width is `WIDTH`.

    Raises
    ------
    ValueError
        If ``title`` or ``alt`` is empty, or a text does not fit into the drawing.
    """

    def __init__(self, title: str, alt: str, height: float) -> None:
        """Start with nothing but the words for those who do not see."""
        for name, words in {"title": title, "alt": alt}.items():
            if not words.strip():
                raise ValueError(f"{name} must say what is seen, got {words!r}")
        self.title, self.alt, self.height = title, alt, height
        self.marks: list[str] = []

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        at: At = "middle",
        color: str = "ink",
        bold: bool = False,
        name: str = "",
    ) -> None:
        """Write words whose middle is at the height y, and whose start, middle or end.

        Colored words are the ink of the page where its style sheet is missing, since no
        color is legible enough on both white and near-black. ``name`` is what a test or
        a script finds them by.
        """
        width = text_width(words, bold=bold)
        left = x - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[at]
        inside = left >= MARGIN and left + width <= WIDTH - MARGIN
        if not (inside and SIZE / 2 <= y <= self.height - SIZE / 2):
            raise ValueError(f"the text {words!r} does not fit into the drawing")
        weight = ' font-weight="600"' if bold else ""
        data = f' data-name="{html.escape(name)}"' if name else ""
        faint = ' fill-opacity="0.75"' if color == "gray" else ""
        self.marks.append(
            f'<text x="{written(x)}" y="{written(y + 0.35 * SIZE)}" text-anchor="{at}" '
            f'class="draw-t-{known(color)}" fill="currentColor"{faint}{weight}{data}>'
            f"{html.escape(words)}</text>"
        )

    def box(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        *,
        color: str = "gray",
        tint: float = 0.0,
        edge: bool = True,
        dashed: bool = False,
        round: float = 3.0,
    ) -> None:
        """Draw a box from its upper left corner; ``tint`` says how full of color."""
        look = paint(color, tint, edge=edge, dashed=dashed)
        self.marks.append(
            f'<rect x="{written(x)}" y="{written(y)}" width="{written(w)}" '
            f'height="{written(h)}" rx="{written(min(round, w / 2, h / 2))}" {look}/>'
        )

    def spot(
        self, x: float, y: float, r: float = 4.0, *, color: str, tint: float = 1.0
    ) -> None:
        """Draw a dot, or with less tint a circle."""
        self.marks.append(
            f'<circle cx="{written(x)}" cy="{written(y)}" r="{written(r)}" '
            f"{paint(color, tint)}/>"
        )

    def curve(
        self,
        points: Iterable[Point],
        *,
        color: str = "gray",
        width: float = 1.5,
        dashed: bool = False,
        tint: float = 0.0,
        edge: bool = True,
    ) -> None:
        """Draw a line through points; with ``tint`` the area is filled as well."""
        d = "L".join(path(x, y) for x, y in points)
        look = paint(color, tint, edge=edge, dashed=dashed)
        thick = f' stroke-width="{written(width)}"'
        self.marks.append(f'<path d="M{d}" {look}{thick}/>')
