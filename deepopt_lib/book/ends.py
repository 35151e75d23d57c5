"""Labels at the ends of lines, moved apart, and text broken to the room it has."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

__all__ = ["EndLabel", "end_labels", "settle", "width_of", "wrap"]

LINE = 1.2  # height of a line of text, in its size
APART = 0.4  # of a line, around a label of more than one
BESIDE = 7.0  # points from the end of a line, which may be a marker


class EndLabel(Text):
    """The label of a line, at its end and in its color.

    Parameters
    ----------
    drawn
        The line, which is in some axes.
    gap
        The smallest distance to the next label, as a fraction of the axes' height.
    """

    def __init__(self, drawn: Line2D, gap: float) -> None:
        super().__init__(0, 0, str(drawn.get_label()), color=drawn.get_color())
        self.set(verticalalignment="center", clip_on=False)
        self.drawn, self.gap = drawn, gap

    def end(self, ax: Axes) -> tuple[float, float]:
        """Return where the line ends, as fractions of the axes, at most its height."""
        to_axes = ax.transData + ax.transAxes.inverted()
        data = [self.drawn.get_xdata(), self.drawn.get_ydata()]
        xy = np.column_stack(data).astype(float)
        x, y = to_axes.transform(xy[np.isfinite(xy).all(axis=1)][-1])
        return float(x), min(max(float(y), 0.0), 1.0)

    def room(self, ax: Axes) -> float:
        """Return the height that the label takes, as a fraction of the axes."""
        points = 72 * ax.get_window_extent().height / ax.figure.dpi
        lines = self.get_text().count("\n") + 1
        tall = (lines * LINE + APART * (lines > 1)) * float(self.get_fontsize())
        return max(self.gap, tall / points)


def end_labels(ax: Axes) -> list[EndLabel]:
    """Return the labels at the ends of lines, from the top down."""
    found = [text for text in ax.texts if isinstance(text, EndLabel)]
    return sorted(found, key=lambda label: -label.end(ax)[1])


def settle(ax: Axes) -> list[EndLabel]:
    """Move each label to the end of its line, apart; return them from the top down.

    Asks for axes with a layout.
    """
    labels = end_labels(ax)
    rooms = [label.room(ax) for label in labels]
    steps = [(a + b) / 2 for a, b in pairwise(rooms)]
    if not labels:
        return []
    # At both ends half of a line may stand out of the axes, and no more.
    highest = 1.0 - (rooms[0] - labels[0].gap) / 2
    lowest = (rooms[-1] - labels[-1].gap) / 2
    points = 72 * ax.get_window_extent().width / ax.figure.dpi
    for i, label in enumerate(labels):
        right, wanted = label.end(ax)
        below = lowest + sum(steps[i:])  # what the labels below still need
        height = min(highest, max(wanted, below))
        label.set_position((right + BESIDE / points, height))
        highest = height - sum(steps[i : i + 1])
    return labels


def width_of(text: str, size: float) -> float:
    """Return the width of a text, that of its longest line; all in points."""
    font = FontProperties(size=size)
    widths = [
        text_to_path.get_text_width_height_descent(line, font, line.count("$") > 1)[0]
        for line in text.split("\n")
    ]
    return float(max(widths))


def wrap(text: str, size: float, room: float) -> str:
    """Break a text at spaces so that its lines are at most ``room`` points wide.

    A word that is wider stands alone. Lines that are there stay.
    """
    lines = []
    for line in text.split("\n"):
        words = line.split(" ")
        lines.append(words[0])
        for word in words[1:]:
            longer = f"{lines[-1]} {word}"
            if width_of(longer, size) <= room:
                lines[-1] = longer
            else:
                lines.append(word)
    return "\n".join(lines)
