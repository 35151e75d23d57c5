"""Figures with one meaning per color: a method looks the same on every page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from deepopt_lib.book import svg, widths
from deepopt_lib.book.ends import EndLabel, settle
from deepopt_lib.book.legible import STYLE
from deepopt_lib.book.tones import TONES
from deepopt_lib.core.checks import check_int
from deepopt_lib.core.types import Array

__all__ = [
    "LOOKS",
    "Look",
    "figure",
    "label_ends",
    "line",
    "panels",
    "phone",
    "style",
    "theory",
]

# The last is that of text and axes.
BLUE, VERMILION, GREEN, PINK, GRAY, INK = (tone.line for tone in TONES.values())


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
    """Set Matplotlib for the book, and have a notebook store each figure twice as SVG.

    Once as it is, and once for a phone: panels stacked, labels and legends fitted.
    """
    svg.install()
    mpl.rcParams.update(STYLE)


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
    columns: int | None = None,
) -> tuple[Figure, list[Axes]]:
    """Return ``n`` axes side by side under one title, by default with one y axis.

    On a phone ``columns`` of them stand side by side, by default one, or of pictures
    without axes up to five.

    Raises
    ------
    ValueError
        If ``columns`` is not between 1 and ``n``.
    """
    if columns is not None:
        check_int("columns", columns, 1, n)
    fig, axes = plt.subplots(1, n, figsize=size, sharey=sharey, squeeze=False)
    fig.suptitle(title, x=0.01, ha="left", fontsize=11)
    widths.stack_in(fig, columns)
    return fig, list(axes[0])


def phone(artist: Artist, properties: Mapping[str, Any]) -> None:
    """Give an artist other properties on a phone: another place, if set by hand.

    ``plot.phone(ax.text(2.9, 0.2, "diverges"), {"position": (2.6, 0.1)})``

    Raises
    ------
    ValueError
        If the artist has no such property.
    """
    for name in properties:
        if not hasattr(artist, f"set_{name}") or not hasattr(artist, f"get_{name}"):
            raise ValueError(f"an artist has no {name}: {artist!r}")
    widths.on_phone(artist, properties)


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
    lines = [x for x in ax.get_lines() if not str(x.get_label()).startswith("_")]
    labels = [EndLabel(drawn, gap) for drawn in lines]
    for label in sorted(labels, key=lambda label: -label.end(ax)[1]):
        ax.add_artist(label).set_transform(ax.transAxes)
    return [label.get_text() for label in settle(ax)]
