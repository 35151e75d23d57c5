"""Attention, drawn: queries times keys, tile by tile, with a running softmax."""

from __future__ import annotations

import numpy as np
from IPython.display import HTML
from numpy.typing import ArrayLike

from deepopt_lib.book.draw.kit import Canvas
from deepopt_lib.book.draw.metrics import WIDTH
from deepopt_lib.core.checks import check_array, check_int
from deepopt_lib.core.types import Array

__all__ = ["online_softmax"]


def online_softmax(
    scores: ArrayLike = (1.0, 3.0, 2.0, 5.0, 4.0, 0.0),
    tile: int = 2,
    *,
    caption: str = "Attention without its matrix. The scores of a query come tile by "
    "tile; what is kept of them is the largest so far and the sum of exp(score − "
    "largest). A larger maximum shrinks the sum.",
) -> HTML:
    """Draw queries times keys in tiles, with one query's running maximum and sum.

    Parameters
    ----------
    scores : sequence of float
        The scores of the one query, as many as there are keys.
    tile : int
        Keys that are read at a time.

    Raises
    ------
    ValueError
        If there are not 4 to 8 finite scores, or ``tile`` does not cut them into two to
        four.
    """
    s = check_array("scores", np.asarray(scores, np.float64), ndim=1)
    check_int("number of scores", s.size, 4, 8)
    check_int("tile", tile, 1, 4)
    if s.size % tile or not 2 <= s.size // tile <= 4:
        raise ValueError(f"tile must cut {s.size} scores into 2 to 4, got {tile}")
    largest, total, shrink = _running(s.reshape(-1, tile))
    tiles = len(largest)
    c = Canvas(
        "Attention by tiles",
        f"Four queries times {s.size} keys, in {tiles} tiles of {tile} keys. For one "
        f"query the largest score so far is {', '.join(f'{m:g}' for m in largest)}, "
        f"and the sum so far {', '.join(f'{t:.2f}' for t in total)}.",
        238,
    )
    left, top, h = 104.0, 42.0, 24.0
    w = (WIDTH - 4 - left) / s.size
    c.text(left, 10, "keys →", at="start", color="gray")
    c.text(left - 10, top + h / 2, "queries ↓", at="end", color="gray")
    c.text(left - 10, top + 2.5 * h, "this one", at="end", bold=True)
    for t in range(tiles):
        x, wide = left + t * tile * w, tile * w
        c.text(x + wide / 2, 29, f"tile {t + 1}")
        for q in range(4):
            words = [f"{v:g}" if q == 2 else "" for v in s[t * tile : (t + 1) * tile]]
            color, tint = ("blue", 0.3) if q == 2 else ("gray", 0.06)
            c.cells(x, top + q * h, words, w=w, h=h, colors=color, tints=tint,
                    name="scores")  # fmt: skip
        c.box(x, top, wide, 4 * h, color="blue", round=0)
        middle = x + wide / 2
        c.arrow((middle, top + 4 * h + 3), (middle, top + 4 * h + 22), color="blue")
        c.text(middle, 174, f"{largest[t]:g}", bold=True, name="largest")
        c.text(middle, 226, f"{total[t]:.2f}", bold=True, name="sum")
        if t:
            c.arrow((middle - wide + 22, 226), (middle - 22, 226), color="vermilion")
            factor = f"× {shrink[t]:.2f}"
            c.text(middle - wide / 2, 208, factor, color="vermilion", name="shrink")
            c.arrow((middle - wide + 22, 174), (middle - 22, 174), color="vermilion")
    c.text(left - 10, 174, "largest", at="end", bold=True)
    c.text(left - 10, 226, "sum of exp", at="end", bold=True)
    return c.figure(caption)


def _running(tiles: Array) -> tuple[Array, Array, Array]:
    """Return the running maximum and sum after each tile, and what shrank the sum."""
    largest, total, shrink, m, summed = [], [], [], -np.inf, 0.0
    for scores in tiles:
        new = max(m, float(scores.max()))
        shrink.append(np.exp(m - new))
        summed = summed * shrink[-1] + float(np.exp(scores - new).sum())
        m = new
        largest.append(m)
        total.append(summed)
    return np.array(largest), np.array(total), np.array(shrink)
