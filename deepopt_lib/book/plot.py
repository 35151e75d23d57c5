"""Figures with one meaning per color: a method looks the same on every page."""

from __future__ import annotations

from typing import NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from deepopt_lib.core.types import Array

__all__ = [
    "LOOKS",
    "Look",
    "figure",
    "label_ends",
    "line",
    "panels",
    "style",
    "theory",
]

BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
PINK = "#CC79A7"
GRAY = "#808080"
INK = "#767676"  # text and axes: legible on white and on near-black


class Look(NamedTuple):
    """Color, dash pattern and marker of one method."""

    color: str
    dash: str
    marker: str


LOOKS: dict[str, Look] = {
    "gradient descent": Look(BLUE, "-", "o"),
    "SGD": Look(BLUE, "--", "s"),
    "momentum": Look(VERMILION, "-", "^"),
    "heavy ball": Look(VERMILION, "-", "^"),
    "EMA momentum": Look(VERMILION, ":", "v"),
    "Nesterov": Look(VERMILION, "--", ">"),
    "AdaGrad": Look(PINK, "-", "D"),
    "RMSprop": Look(PINK, "--", "d"),
    "Adam": Look(GREEN, "-", "P"),
    "AdamW": Look(GREEN, "--", "X"),
    "AMSGrad": Look(GREEN, ":", "p"),
    "Lion": Look(PINK, ":", "*"),
    "Muon": Look(PINK, "-.", "h"),
    "Schedule-Free": Look(BLUE, ":", "D"),
    "convolution": Look(GREEN, "-", "o"),
    "recurrence": Look(GRAY, "-", "s"),
    "LSTM": Look(GREEN, "--", "v"),
    "GRU": Look(PINK, "-", "d"),
    "attention": Look(VERMILION, "-.", "D"),
    "distilled": Look(GREEN, "-.", "v"),
    "pruned": Look(BLUE, "-.", "o"),
    "quantized": Look(VERMILION, "-", "s"),
    "shared": Look(GREEN, "-", "D"),
    "low rank": Look(PINK, "-", "v"),
    "Deep Compression": Look(GREEN, "-", "*"),
    "control": Look(GRAY, "-", "."),
}
"""How each method is drawn, everywhere in the book."""


def style() -> None:
    """Set Matplotlib for the book: transparent, with text legible in light and dark."""
    mpl.rcParams.update(
        {
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
            "figure.dpi": 200,
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.titlelocation": "left",
            "axes.titlesize": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "lines.linewidth": 2,
            "legend.frameon": False,
            "image.cmap": "cividis",
        }
    )


def figure(
    title: str,
    xlabel: str,
    ylabel: str,
    *,
    log: str = "",
    size: tuple[float, float] = (7, 3.6),
) -> Axes:
    """Return empty axes; ``title`` states the finding, ``log`` is "x", "y" or "xy".

    Raises
    ------
    ValueError
        If ``log`` is something else.
    """
    if log not in ("", "x", "y", "xy"):
        raise ValueError(f'log must be "x", "y" or "xy", got {log!r}')
    _, ax = plt.subplots(figsize=size)
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    if "x" in log:
        ax.set_xscale("log")
    if "y" in log:
        ax.set_yscale("log")
    return ax


def panels(
    n: int,
    title: str,
    *,
    size: tuple[float, float] = (7, 2.8),
    sharey: bool = True,
) -> tuple[Figure, list[Axes]]:
    """Return ``n`` axes side by side under one title, by default with one y axis."""
    fig, axes = plt.subplots(1, n, figsize=size, sharey=sharey, squeeze=False)
    fig.suptitle(title, x=0.01, ha="left", fontsize=11)
    return fig, list(axes[0])


def line(
    ax: Axes,
    x: ArrayLike,
    y: ArrayLike,
    method: str,
    *,
    label: str | None = None,
    points: bool = False,
) -> Array:
    """Draw one method; return the plotted y, averaged over runs.

    ``y`` of shape (runs, len(x)) is drawn as the mean with a band from the smallest to
    the largest run. ``points`` adds the method's marker at every x.

    Raises
    ------
    KeyError
        If `LOOKS` has no such method.
    """
    color, dash, shape = LOOKS[method]
    runs = np.atleast_2d(np.asarray(y, dtype=np.float64))  # (runs, n)
    mean: Array = runs.mean(axis=0)
    marker = shape if points else ""
    ax.plot(x, mean, dash, color=color, marker=marker, label=label or method)
    if len(runs) > 1:
        low, high = runs.min(axis=0), runs.max(axis=0)
        ax.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
    return mean


def theory(ax: Axes, x: ArrayLike, y: ArrayLike, label: str = "theory") -> None:
    """Draw a prediction as a thin dashed gray line over the measurement."""
    ax.plot(x, y, "--", color=GRAY, linewidth=1, label=label, zorder=3)


def label_ends(ax: Axes, gap: float = 0.075) -> list[str]:
    """Write each line's label at its end, moved apart; return them from the top down.

    ``gap`` is the smallest distance between two labels, as a fraction of the height.
    """
    ax.figure.canvas.draw()  # settles limits and layout
    to_axes = ax.transData + ax.transAxes.inverted()
    ends = []
    for drawn in ax.get_lines():
        if not str(drawn.get_label()).startswith("_"):
            xy = np.column_stack([drawn.get_xdata(), drawn.get_ydata()]).astype(float)
            shown = to_axes.transform(xy[np.isfinite(xy).all(axis=1)][-1])
            ends.append((min(max(float(shown[1]), 0.0), 1.0), float(shown[0]), drawn))
    ends.sort(key=lambda end: -end[0])
    height = 1.0 + gap
    for i, (wanted, right, drawn) in enumerate(ends):
        room = gap * (len(ends) - 1 - i)  # what the labels below still need
        height = min(height - gap, max(wanted, room))
        ax.text(
            right + 0.02,
            height,
            str(drawn.get_label()),
            transform=ax.transAxes,
            color=drawn.get_color(),
            va="center",
        )
    return [str(drawn.get_label()) for *_, drawn in ends]
