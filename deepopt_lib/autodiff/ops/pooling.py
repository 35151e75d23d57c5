"""Primitives that shrink images, (batch, height, width, channels)."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepopt_lib.autodiff.tape import Result, primitive
from deepopt_lib.core.checks import check_int
from deepopt_lib.core.shapes import check_shapes

__all__ = ["avg_pool", "first_max", "max_pool", "to_first_max"]


def _check_pool(name: str, x: Any, size: int) -> None:
    check_shapes(name, "x (batch, height, width, channels)", x)
    check_int("size", size)
    if x.shape[1] % size or x.shape[2] % size:
        raise ValueError(
            f"size must divide height and width of x, {x.shape}, got {size}"
        )


@primitive
def max_pool(x: Any, *, size: int = 2) -> Result:
    """Take the maximum of windows of size x size that do not overlap.

    x (batch, height, width, channels) -> (batch, height/size, width/size, channels).
    First over the lines of a window, then along them. Of equal entries the first one
    met gets the whole derivative.

    Raises
    ------
    ValueError
        If x is not four-dimensional, or ``size`` does not divide its height and width.
    """
    _check_pool("max_pool", x, size)
    n, h, w, c = x.shape
    lines = _parts(x, size, w * c)  # (size, n*h/size, w*c)
    tall = np.empty(lines.shape[1:], x.dtype)
    line_beats = np.empty(lines.shape, bool)
    first_max(lines, tall, line_beats)
    columns = _parts(tall, size, c)  # (size, n*h*w/size**2, c)
    out = np.empty((n, h // size, w // size, c), x.dtype)
    column_beats = np.empty(columns.shape, bool)
    first_max(columns, out.reshape(-1, c), column_beats)

    def pull(d: Any) -> Any:
        d_tall = np.empty(tall.shape, d.dtype)
        to_first_max(d.reshape(-1, c), column_beats, _parts(d_tall, size, c))
        dx = np.empty(x.shape, d.dtype)
        to_first_max(d_tall, line_beats, _parts(dx, size, w * c))
        return dx

    return out, (pull,)


def _parts(a: Any, size: int, run: int) -> Any:
    """Return the ``size`` parts of every window as views, each (windows, run)."""
    return a.reshape(-1, size, run).swapaxes(0, 1)


def first_max(parts: Any, best: Any, beats: Any) -> None:
    """Write the maximum of arrays, and for each of them where it beats all before it.

    ``beats[0]`` is not touched.
    """
    best[...] = parts[0]
    for i in range(1, len(parts)):
        np.greater(parts[i], best, out=beats[i])
        np.maximum(parts[i], best, out=best)


def to_first_max(d: Any, beats: Any, parts: Any) -> None:
    """Undo `first_max`: write ``d`` to the part that had won, and 0 to the others."""
    for i in range(len(parts) - 1, 0, -1):
        np.multiply(d, beats[i], out=parts[i])
        d = np.subtract(d, parts[i], out=parts[0] if i == 1 else None)
    if len(parts) == 1:
        parts[0][...] = d


@primitive
def avg_pool(x: Any, *, size: int = 2) -> Result:
    """Average windows of size x size that do not overlap.

    LeCun et al. (1998), section II.B, call it sub-sampling.
    x (batch, height, width, channels) -> (batch, height/size, width/size, channels).

    Raises
    ------
    ValueError
        If x is not four-dimensional, or ``size`` does not divide its height and width.
    """
    _check_pool("avg_pool", x, size)
    n, h, w, c = x.shape
    lines = np.add.reduce(x.reshape(n, h // size, size, w, c), axis=2)
    out = np.add.reduce(lines.reshape(n, h // size, w // size, size, c), axis=3)
    out /= size * size

    def pull(d: Any) -> Any:
        windows = np.empty((n, h // size, size, w // size, size, c), d.dtype)
        windows[...] = (d / (size * size))[:, :, None, :, None]
        return windows.reshape(n, h, w, c)

    return out, (pull,)
