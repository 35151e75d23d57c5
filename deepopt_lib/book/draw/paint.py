"""The colors of a drawing: an attribute that is legible anywhere, and a class."""

from __future__ import annotations

from deepopt_lib.book.plot import BLUE, GRAY, GREEN, PINK, VERMILION

__all__ = ["COLORS", "known", "paint"]

COLORS = {
    "ink": "currentColor",
    "gray": GRAY,
    "blue": BLUE,
    "vermilion": VERMILION,
    "green": GREEN,
    "pink": PINK,
}
"""What each color is where the site's style sheet is missing."""


def known(color: str) -> str:
    """Return the name of a color if there is one.

    Raises
    ------
    ValueError
        If `COLORS` has no such color.
    """
    if color not in COLORS:
        raise ValueError(f"color must be one of {list(COLORS)}, got {color!r}")
    return color


def paint(color: str, tint: float, *, edge: bool = True, dashed: bool = False) -> str:
    """Return the attributes of fill and stroke, each with its class.

    Raises
    ------
    ValueError
        If `COLORS` has no such color.
    """
    value, classes, found = COLORS[known(color)], [], []
    if tint:
        classes.append(f"draw-f-{color}")
        opacity = f' fill-opacity="{tint:.3g}"' if tint < 1 else ""
        found.append(f'fill="{value}"{opacity}')
    if edge:
        classes.append(f"draw-s-{color}")
        found.append(f'stroke="{value}"' + ' stroke-dasharray="4 4"' * dashed)
    return f'class="{" ".join(classes)}" {" ".join(found)}'
