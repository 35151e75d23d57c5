"""Calibration: the range that a quantization grid covers.

Every function takes lines (k, n), the bits and whether the grid is symmetric, and
returns the lowest and the highest value of each line, (k, 1) each, around 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deepopt_lib.core.types import Array

__all__ = ["RANGES", "minmax", "mse", "percentile"]

Range = tuple[Array, Array]

SHRINK = np.linspace(1.0, 0.2, 81)  # the fractions of the range that "mse" tries
SHARE = 99.9  # "percentile" clips above this percentile and below 100 - SHARE


def minmax(lines: Array, bits: int, symmetric: bool) -> Range:
    """Cover all entries: nothing is clipped, one outlier makes the grid coarse."""
    low, high = lines.min(axis=1, keepdims=True), lines.max(axis=1, keepdims=True)
    return np.minimum(low, 0), np.maximum(high, 0)


def percentile(lines: Array, bits: int, symmetric: bool) -> Range:
    """Clip a thousandth of the entries at each end."""
    low, high = np.percentile(lines, [100 - SHARE, SHARE], axis=1, keepdims=True)
    dtype = lines.dtype
    return np.minimum(low, 0).astype(dtype), np.maximum(high, 0).astype(dtype)


def mse(lines: Array, bits: int, symmetric: bool) -> Range:
    """Cover the range with the smallest squared error (Nagel et al. 2021, section 3.1).

    Found for each line among 81 fractions of the full one, from 1 down to 0.2. At most
    as large an error as `minmax`, which is one of them.
    """
    low, high = minmax(lines, bits, symmetric)
    if symmetric:
        high = np.maximum(-low, high)
        low = -high
    top = 2**bits - 1 - symmetric  # symmetric: an odd number, 0 in the middle
    best = np.full(low.shape, np.inf, low.dtype)
    factor = np.ones_like(low)
    for f in SHRINK:
        scale = f * (high - low) / top
        scale = np.where(scale > 0, scale, 1)
        zero = np.rint(-f * low / scale)
        codes = np.clip(np.rint(lines / scale) + zero, 0, top)
        error = ((lines - scale * (codes - zero)) ** 2).sum(axis=1, keepdims=True)
        better = error < best
        best, factor = np.where(better, error, best), np.where(better, f, factor)
    dtype = lines.dtype
    return (factor * low).astype(dtype), (factor * high).astype(dtype)


RANGES: dict[str, Callable[[Array, int, bool], Range]] = {
    "minmax": minmax,
    "percentile": percentile,
    "mse": mse,
}
"""The three ways to find a range, by name."""


def check_range(name: str, range: Any) -> str:
    """Return the name of a way to calibrate; refuse one that there is not."""
    if range not in tuple(RANGES):
        raise ValueError(f"{name} must be one of {tuple(RANGES)}, got {range!r}")
    return str(range)
