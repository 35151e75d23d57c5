"""Labels below an axis that do not run into each other."""

from __future__ import annotations

import re
from contextlib import ExitStack
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter

from deepopt_lib.book.ends import width_of, wrap
from deepopt_lib.book.legible import change

__all__ = ["shift", "thin"]

APART = 3.0  # points between two labels
NUMBER = re.compile(r"[-−\d.,%×^{}$\\ ½¼]+|.*mathdefault.*")


def thin(undo: ExitStack, ax: Axes) -> None:
    """Leave out numbers below an axis that overlap, and break words, until closed.

    Asks for axes with a layout.
    """
    shown = [t for t in _labels(ax) if t.get_visible() and t.get_text()]
    if not any(_overlap(a, b) for a, b in pairwise(shown)):
        return
    if all(NUMBER.fullmatch(text.get_text()) for text in shown):
        last = shown[0]
        for text in shown[1:]:
            if _overlap(last, text):
                undo.callback(text.set_visible, True)
                text.set_visible(False)
            else:
                last = text
        return
    points = 72 * ax.get_window_extent().width / ax.figure.dpi
    size, slot = float(shown[0].get_fontsize()), points / len(shown) - APART
    words = [tick.label1.get_text() for tick in ax.xaxis.get_major_ticks()]
    undo.callback(ax.xaxis.set_major_formatter, ax.xaxis.get_major_formatter())
    broken = [wrap(word, size, slot) for word in words]
    ax.xaxis.set_major_formatter(FixedFormatter(broken))


def shift(undo: ExitStack, ax: Axes) -> None:
    """Move what stands below an axis into the figure, if it is wider, until closed.

    Asks for axes with a layout.
    """
    figure, axes = ax.figure.bbox, ax.get_window_extent()
    scale, label = ax.figure.dpi / 72, ax.xaxis.label
    half = width_of(label.get_text(), float(label.get_fontsize())) * scale / 2
    center = (axes.x0 + axes.x1) / 2
    inside = max(figure.x0 + half, min(center, figure.x1 - APART * scale - half))
    if inside != center:
        x = (inside - axes.x0) / axes.width
        change(undo, label, {"position": (x, label.get_position()[1])})


def _labels(ax: Axes) -> list[Text]:
    """Return the labels below an axis from left to right."""
    ticks = [*ax.xaxis.get_major_ticks(), *ax.xaxis.get_minor_ticks()]
    inside = [t.label1 for t in ticks if t.label1.get_window_extent().width > 0]
    return sorted(inside, key=lambda text: text.get_window_extent().x0)


def _overlap(left: Text, right: Text) -> bool:
    """Tell whether two labels are less than `APART` from each other."""
    scale = 1.0 if left.figure is None else left.figure.dpi / 72
    end = float(left.get_window_extent().x1)
    return float(right.get_window_extent().x0) < end + APART * scale
