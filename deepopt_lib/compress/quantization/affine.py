"""Quantization onto an even grid: scale, zero point, and integers that are stored.

``value = scale * (code - zero)``, one scale for the whole array, for each channel (an
index along one axis) or for each block of consecutive entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.compress.bits import pack_bits, unpack_bits
from deepopt_lib.compress.codec import BaseCodec, shape_of
from deepopt_lib.compress.quantization.calibrate import check_range
from deepopt_lib.compress.quantization.grid import (
    Grid,
    fit_asymmetric,
    fit_symmetric,
    symmetric_grid,
)
from deepopt_lib.core.checks import check_array, check_bool, check_int
from deepopt_lib.core.types import Array

__all__ = ["Affine", "AffineCode", "sqnr"]

MOST_AXES = 64  # of an array of NumPy


class AffineCode(NamedTuple):
    """Packed codes and what turns them into values."""

    packed: NDArray[np.uint8]
    scale: Array
    zero: NDArray[Any]
    shape: NDArray[np.int32]


@dataclass(frozen=True)
class Affine(BaseCodec):
    """Affine quantization (Jacob et al. 2018, eq. 1; Nagel et al. 2021, eqs. 4 to 7).

    ``code = clip(round(x/scale) + zero)``. Asymmetric: codes 0 .. 2**bits - 1 over a
    range that includes 0, which is met exactly. Symmetric: ``zero`` in the middle, and
    one level fewer. With one bit and ``symmetric=True`` the two values are minus and
    plus the mean size (Rastegari et al. 2016, eq. 6), with plus for 0; a line of zeros
    stays one. Rounding is to even.

    Parameters
    ----------
    bits : int
        1 to 16; codes are packed without gaps.
    axis : int, optional
        A scale for each index along this axis: for W (n_in, n_out), 1 means a scale for
        each output. Scale and zero point are stored as well.
    block : int, optional
        A scale for each ``block`` consecutive entries; the last may be shorter.
    range : str
        How the range is found, see the module `calibrate`: "minmax", "percentile" or
        "mse". The first keeps every error within ``scale/2``.

    Raises
    ------
    ValueError
        If an argument is out of range, or an array is empty, not finite, not float32 or
        float64.
    """

    bits: int = 8
    symmetric: bool = False
    axis: int | None = None
    block: int | None = None
    range: str = "minmax"

    def __post_init__(self) -> None:
        """Check every argument."""
        checked = {
            "bits": check_int("Affine.bits", self.bits, 1, 16),
            "symmetric": check_bool("Affine.symmetric", self.symmetric),
            "range": check_range("Affine.range", self.range),
        }
        if self.axis is not None and self.block is not None:
            raise ValueError("Affine takes an axis or a block, got both")
        if self.axis is not None:
            checked["axis"] = check_int("Affine.axis", self.axis, -MOST_AXES, MOST_AXES)
        if self.block is not None:
            checked["block"] = check_int("Affine.block", self.block)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def fit(self, x: Array) -> Grid:
        """Return the grid for an array: one line for each scale.

        Raises
        ------
        ValueError
            If x is empty, not finite, not float32 or float64, or has no such axis.
        """
        lines = self._lines(_check(x))
        fit = fit_symmetric if self.symmetric else fit_asymmetric
        short = x.size % self.block if self.block else 0
        if not short:
            return fit(lines, self.bits, self.range)
        # What fills up the last block must not count.
        last = fit(lines[-1:, :short], self.bits, self.range)
        if len(lines) == 1:
            return last
        first = fit(lines[:-1], self.bits, self.range)
        scale = np.concatenate([first.scale, last.scale])
        return Grid(scale, np.concatenate([first.zero, last.zero]), last.levels)

    def encode(self, x: Array, /, grid: Grid | None = None) -> AffineCode:
        """Return the code of ``x``, on its own grid or on a given one.

        Raises
        ------
        ValueError
            As `fit`.
        """
        _check(x)
        grid = self.fit(x) if grid is None else grid
        codes = self._back(grid.codes(self._lines(x)), x.shape)
        zero = grid.zero[:0] if self.symmetric else grid.zero
        narrow = zero.astype(np.uint8 if self.bits <= 8 else np.uint16)
        return AffineCode(pack_bits(codes, self.bits), grid.scale, narrow, shape_of(x))

    def decode(self, code: AffineCode, /) -> Array:
        """Return the values, in the dtype of the scale."""
        codes = unpack_bits(code.packed, self.bits, int(np.prod(code.shape)))
        lines = self._lines(codes.reshape(code.shape))
        if self.symmetric:
            grid = symmetric_grid(code.scale, self.bits)
        else:
            zero = code.zero.astype(code.scale.dtype)
            grid = Grid(code.scale, zero, 2**self.bits)
        return self._back(grid.values(lines), tuple(code.shape))

    def round(self, x: Array, /, grid: Grid | None = None) -> Array:
        """Return the nearest values on the grid, without packing them.

        Raises
        ------
        ValueError
            As `fit`.
        """
        _check(x)
        grid = self.fit(x) if grid is None else grid
        return self._back(grid.values(grid.codes(self._lines(x))), x.shape)

    def _lines(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return a matrix with one line for each scale; the last block is padded."""
        if self.axis is not None:
            if not -x.ndim <= self.axis < x.ndim:
                raise ValueError(f"axis {self.axis} of an array of shape {x.shape}")
            return np.moveaxis(x, self.axis, 0).reshape(x.shape[self.axis], -1)
        if self.block is None:
            return x.reshape(1, -1)
        short = -x.size % self.block
        return np.pad(x.ravel(), (0, short)).reshape(-1, self.block)

    def _back(self, lines: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        if self.axis is None:
            return lines.ravel()[: int(np.prod(shape))].reshape(shape)
        first = shape[self.axis]
        rest = np.delete(shape, self.axis)
        return np.moveaxis(lines.reshape(first, *rest), 0, self.axis)


def sqnr(x: Array, rounded: Array) -> float:
    """Return the signal-to-quantization-noise ratio in dB.

    ``10 * log10(sum(x**2) / sum((x - rounded)**2))``; infinite where nothing is lost.

    Raises
    ------
    ValueError
        If x is empty, not finite, not floating or zero everywhere.
    """
    signal = float(np.sum(np.square(check_array("x", x), dtype=np.float64)))
    if not signal:
        raise ValueError("x is zero everywhere: there is no signal")
    noise = float(np.sum(np.square(x - rounded, dtype=np.float64)))
    return float(10 * np.log10(signal / noise)) if noise else float("inf")


def _check(x: Array) -> Array:
    if check_array("x", x).dtype.itemsize < 4:
        raise ValueError(f"x must be float32 or float64 for a grid, got {x.dtype}")
    return x
