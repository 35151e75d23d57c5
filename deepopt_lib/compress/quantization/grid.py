"""Even grids: which values a line of numbers may take, and how they are found."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.compress.quantization.calibrate import RANGES
from deepopt_lib.core.types import Array

__all__ = ["Grid", "fit_asymmetric", "fit_symmetric", "symmetric_grid"]


class Grid(NamedTuple):
    """The values that each line of a matrix may take: ``scale * (code - zero)``.

    ``scale`` and ``zero`` (lines, 1) in the dtype of the array, codes from 0 to
    ``levels - 1``. ``zero`` is whole, so that 0 is met exactly, except for two
    symmetric levels, where it is one half.
    """

    scale: Array
    zero: Array
    levels: int

    def codes(self, x: Array) -> NDArray[np.uint16]:
        """Return the code of the nearest value; x (lines, n)."""
        if self.zero.flat[0] == 0.5:  # two values: the sign, that of 0 is plus
            return (x >= 0).astype(np.uint16)
        codes = np.rint(x / self.scale + self.zero)
        return np.clip(codes, 0, self.levels - 1).astype(np.uint16)

    def values(self, codes: NDArray[Any]) -> Array:
        """Return what the codes stand for."""
        with np.errstate(over="ignore"):  # by rounding, at the end of the range
            values = self.scale * (codes.astype(self.scale.dtype) - self.zero)
        most = np.finfo(values.dtype).max
        if self.scale.max() > most / self.levels:
            values = np.clip(values, -most, most)
        return values


def fit_symmetric(lines: Array, bits: int, range: str) -> Grid:
    """Return the grid around 0 of each line; one bit: the mean size (XNOR, eq. 6)."""
    unit, exponent = _unit(lines)
    if bits == 1:
        largest = np.abs(unit).mean(axis=1, keepdims=True)
    else:
        low, high = RANGES[range](unit, bits, True)
        largest = np.maximum(-low, high)
    scale = _scale(largest / _middle(bits), exponent)
    return symmetric_grid(scale if bits == 1 else _not_zero(scale), bits)


def fit_asymmetric(lines: Array, bits: int, range: str) -> Grid:
    """Return the grid of each line from its lowest to its highest value, 0 included."""
    unit, exponent = _unit(lines)
    low, high = RANGES[range](unit, bits, False)
    top = 2**bits - 1
    step = _not_zero((high - low) / top)
    zero = np.clip(np.rint(-low / step), 0, top)
    return Grid(_not_zero(_scale((high - low) / top, exponent)), zero, top + 1)


def symmetric_grid(scale: Array, bits: int) -> Grid:
    """Return the symmetric grid with these scales: one level fewer than codes."""
    zero = np.full_like(scale, _middle(bits))
    return Grid(scale, zero, int(2 * _middle(bits)) + 1)


def _middle(bits: int) -> float:
    """Return the zero point of a symmetric grid: 0.5, 1, 3, 7, ..."""
    return max(2.0 ** (bits - 1) - 1, 0.5)


def _unit(lines: Array) -> tuple[Array, NDArray[np.int32]]:
    """Return lines with entries in (-1, 1), and the power of two that they lack.

    No sum, difference or square of them overflows or vanishes, and powers of two round
    nothing.
    """
    _, exponent = np.frexp(np.abs(lines).max(axis=1, keepdims=True))
    return np.ldexp(lines, -exponent), exponent


def _scale(step: Array, exponent: NDArray[np.int32]) -> Array:
    with np.errstate(over="ignore"):
        scale: Array = np.ldexp(step, exponent)
    if not np.isfinite(scale).all():
        raise ValueError(f"x is too large for one bit: a step is above {step.dtype}")
    return scale


def _not_zero(scale: Array) -> Array:
    """Replace zero scales by 1: a line of zeros keeps its zeros at any scale."""
    return np.where(scale > 0, scale, 1).astype(scale.dtype)
