"""Every text of a figure in a size and a tone that one can read."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from matplotlib.artist import Artist
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from deepopt_lib.book.tones import ON_BAR, TEXT, TONES

__all__ = ["SMALLEST", "STYLE", "change", "legible", "luminance"]

_INK = TONES["ink"].line
STYLE: dict[Any, Any] = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 2,
    "legend.frameon": False,
    "image.cmap": "cividis",
}
"""What Matplotlib is told for the book."""

SMALLEST = 8.5  # points: 11 px or more on a phone


def change(undo: ExitStack, artist: Artist, new: Mapping[str, Any]) -> None:
    """Set properties of an artist until the stack is closed."""
    undo.callback(artist.set, **{k: getattr(artist, f"get_{k}")() for k in new})
    artist.set(**new)


def legible(undo: ExitStack, fig: Figure) -> None:
    """Change the texts of a figure, which has a layout, until the stack is closed.

    No text is smaller than `SMALLEST`. One in a color for lines gets the tone for text,
    and one in white or black on a bar whichever of the two is more legible there.
    """
    for text in fig.findobj(Text):
        if not isinstance(text, Text) or not text.get_text():
            continue
        if float(text.get_fontsize()) < SMALLEST:
            change(undo, text, {"fontsize": SMALLEST})
        color = to_hex(text.get_color())
        if color in TEXT:
            change(undo, text, {"color": TEXT[color]})
        elif color in ON_BAR and (bar := _bar_below(text)) is not None:
            bright = luminance(bar.get_facecolor()) > 0.179  # where both have 4.58:1
            best = ON_BAR["#000000" if bright else "#ffffff"]
            change(undo, text, {"color": best})


def _bar_below(text: Text) -> Rectangle | None:
    """Return the bar that a text stands on."""
    if text.axes is None:
        return None
    box = text.get_window_extent()
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    for patch in reversed(text.axes.patches):
        if isinstance(patch, Rectangle) and patch.get_window_extent().contains(x, y):
            return patch
    return None


def luminance(color: Any) -> float:
    """Return the relative luminance of a color, from 0 for black to 1 for white."""
    parts = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in to_rgb(color)
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
