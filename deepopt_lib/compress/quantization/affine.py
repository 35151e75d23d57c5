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
from deepopt_lib.compress.codec import Coder, check_bits, shape_of
from deepopt_lib.compress.quantization.calibrate import RANGES, check_range
from deepopt_lib.core.checks import check_array, is_int
from deepopt_lib.core.tree import nbytes
from deepopt_lib.core.types import Array

__all__ = ["Affine", "AffineCode", "Grid", "sqnr"]


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
        codes = np.rint(x / self.scale + self.zero)
        return np.clip(codes, 0, self.levels - 1).astype(np.uint16)

    def values(self, codes: NDArray[Any]) -> Array:
        """Return what the codes stand for."""
        return self.scale * (codes.astype(self.scale.dtype) - self.zero)


class AffineCode(NamedTuple):
    """Packed codes and what turns them into values."""

    packed: NDArray[np.uint8]
    scale: Array
    zero: NDArray[Any]
    shape: NDArray[np.int32]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return nbytes(tuple(self))


@dataclass(frozen=True)
class Affine(Coder):
    """Affine quantization (Jacob et al. 2018, eq. 1; Nagel et al. 2021, eqs. 4 to 7).

    ``code = clip(round(x/scale) + zero)``. Asymmetric: codes 0 .. 2**bits - 1 over a
    range that includes 0, which is met exactly. Symmetric: ``zero`` in the middle, and
    one level fewer. With one bit and ``symmetric=True`` the two values are minus and
    plus the mean size (Rastegari et al. 2016, eq. 6). Rounding is to even.

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
        How the range is found, see `deepopt_lib.calibrate`: "minmax", "percentile" or
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
        check_bits("Affine.bits", self.bits)
        check_range(self.range)
        if self.axis is not None and self.block is not None:
            raise ValueError("Affine takes an axis or a block, got both")
        if self.block is not None and (not is_int(self.block) or self.block < 1):
            raise ValueError(f"Affine.block must be an int >= 1, got {self.block!r}")

    def fit(self, x: Array) -> Grid:
        """Return the grid for an array: one line for each scale."""
        lines = self._lines(_check(x))
        if self.symmetric:
            if self.bits == 1:
                largest = np.abs(lines).mean(axis=1, keepdims=True)
            else:
                low, high = RANGES[self.range](lines, self.bits, True)
                largest = np.maximum(-low, high)
            return self._symmetric(_not_zero(largest / self._middle))
        top = 2**self.bits - 1
        low, high = RANGES[self.range](lines, self.bits, False)
        scale = _not_zero((high - low) / top)
        return Grid(scale, np.clip(np.rint(-low / scale), 0, top), top + 1)

    @property
    def _middle(self) -> float:
        """The zero point of a symmetric grid: 0.5, 1, 3, 7, ..."""
        return max(2.0 ** (self.bits - 1) - 1, 0.5)

    def _symmetric(self, scale: Array) -> Grid:
        zero = np.full_like(scale, self._middle)
        return Grid(scale, zero, int(2 * self._middle) + 1)

    def encode(self, x: Array, /, grid: Grid | None = None) -> AffineCode:
        """Return the code of ``x``, on its own grid or on a given one."""
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
            grid = self._symmetric(code.scale)
        else:
            zero = code.zero.astype(code.scale.dtype)
            grid = Grid(code.scale, zero, 2**self.bits)
        return self._back(grid.values(lines), tuple(code.shape))

    def round(self, x: Array, /, grid: Grid | None = None) -> Array:
        """Return the nearest values on the grid, without packing them."""
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
        return np.pad(x.ravel(), (0, short), mode="edge").reshape(-1, self.block)

    def _back(self, lines: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        if self.axis is None:
            return lines.ravel()[: int(np.prod(shape))].reshape(shape)
        first = shape[self.axis]
        rest = np.delete(shape, self.axis)
        return np.moveaxis(lines.reshape(first, *rest), 0, self.axis)


def sqnr(x: Array, rounded: Array) -> float:
    """Return the signal-to-quantization-noise ratio in dB.

    ``10 * log10(sum(x**2) / sum((x - rounded)**2))``.

    Infinite where nothing is lost.
    """
    noise = float(np.sum((x - rounded) ** 2))
    return float(10 * np.log10(np.sum(x**2) / noise)) if noise else float("inf")


def _check(x: Array) -> Array:
    if check_array("x", x).dtype.itemsize < 4:
        raise ValueError(f"x must be float32 or float64 for a grid, got {x.dtype}")
    return x


def _not_zero(scale: Array) -> Array:
    """Replace zero scales by 1: a line of zeros keeps its zeros at any scale."""
    return np.where(scale > 0, scale, 1).astype(scale.dtype)
