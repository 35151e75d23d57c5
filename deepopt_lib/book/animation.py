"""A moving picture of optimizers at work: one SVG, one slider, no outside script."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from importlib.resources import files

import numpy as np
from contourpy import contour_generator
from IPython.display import HTML

from deepopt_lib.book.plot import LOOKS
from deepopt_lib.core.types import Array

__all__ = ["player"]

WIDTH, HEIGHT = 640, 400
DASHES = {"-": "none", "--": "8 5", ":": "2 4", "-.": "8 4 2 4"}


def player(
    f: Callable[[Array], float],
    paths: Mapping[str, Array],
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    *,
    minimum: Array,
    caption: str,
    alt: str,
) -> HTML:
    """Show paths over the contours of ``f``, with a slider and a play button.

    Nothing moves until the reader asks; the arrow keys step; without scripts the whole
    paths are drawn. With ``prefers-reduced-motion`` there is no play button.

    Parameters
    ----------
    f : callable
        A function of a vector of two numbers.
    paths : dict of Array
        By method (a name in `deepopt_lib.book.plot.LOOKS`): iterates, of shape
        (steps + 1, 2).
    xlim, ylim : pair of float
        The window.
    minimum : Array
        Marked with a cross.
    caption, alt : str
        The finding, and what is seen, for those who do not see it.

    Raises
    ------
    ValueError
        If there is no path, one is not of shape (steps + 1, 2), or ``alt`` is empty.
    KeyError
        If `deepopt_lib.book.plot.LOOKS` has no such method.
    """
    if not alt:
        raise ValueError("alt must say what is seen, got an empty string")
    if not paths:
        raise ValueError("paths must name at least one method, got none")
    for name, path in paths.items():
        if path.ndim != 2 or path.shape[1] != 2 or len(path) == 0:
            raise ValueError(f"paths[{name!r}] must be (n, 2), got {path.shape}")
    span = np.array([xlim[1] - xlim[0], ylim[1] - ylim[0]])
    low = np.array([xlim[0], ylim[0]])

    def pixels(xy: Array) -> Array:
        """Map points to the drawing, y upward, and keep runaways within reach."""
        unit = np.clip((xy - low) / span, -5, 6)
        return np.asarray(np.round(unit * [WIDTH, -HEIGHT] + [0, HEIGHT], 1) + 0.0)

    lines = [_contour_path(f, xlim, ylim, pixels)]
    legend, data = [], []
    for name, path in paths.items():
        (color, dash, _), points = LOOKS[name], pixels(path)
        stroke = f'stroke="{color}" stroke-dasharray="{DASHES[dash]}"'
        xy = " ".join(f"{x:g},{y:g}" for x, y in points)
        x, y = points[-1]
        lines.append(f'<polyline class="run" points="{xy}" {stroke}/>')
        lines.append(f'<circle cx="{x:g}" cy="{y:g}" r="6" fill="{color}"/>')
        legend.append(
            f'<span><svg width="34" height="10" aria-hidden="true"><path d="M1 5H33" '
            f'{stroke} stroke-width="3"/></svg> {html.escape(name)} '
            "<output></output></span>"
        )
        data.append({"values": [f"{f(p):.2e}" for p in path]})
    x, y = pixels(minimum)
    lines.append(f'<path class="minimum" d="M{x - 7:g} {y:g}h14M{x:g} {y - 7:g}v14"/>')
    parts = {
        "ALT": html.escape(alt, quote=True),
        "CAPTION": html.escape(caption),
        "DATA": html.escape(json.dumps(data, separators=(",", ":")), quote=True),
        "LAST": str(max(len(path) for path in paths.values()) - 1),
        "LEGEND": "".join(legend),
        "LINES": "".join(lines),
        "VIEWBOX": f"0 0 {WIDTH} {HEIGHT}",
    }
    page = files("deepopt_lib.book").joinpath("player.html").read_text(encoding="utf8")
    for key, value in parts.items():
        page = page.replace(f"@{key}@", value)
    return HTML(page)  # type: ignore[no-untyped-call]


def _contour_path(
    f: Callable[[Array], float],
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    pixels: Callable[[Array], Array],
) -> str:
    """Return an SVG path of contour lines, the same number of points between levels."""
    x, y = np.linspace(*xlim, 81), np.linspace(*ylim, 61)
    z = np.array([[f(np.array([a, b])) for a in x] for b in y])
    generator = contour_generator(x, y, z)
    d = []
    for level in np.quantile(z, np.linspace(0.02, 0.95, 14) ** 1.5):
        for curve in generator.lines(float(level)):
            xy = pixels(np.asarray(curve))
            d.append("M" + "L".join(f"{a:.0f} {b:.0f}" for a, b in xy))
    return f'<path class="contour" d="{"".join(d)}"/>'
