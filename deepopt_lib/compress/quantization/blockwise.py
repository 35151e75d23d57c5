"""Block-wise quantization onto an uneven grid: a table of values and a scale a block.

The grid follows the distribution of what is stored, so that small entries keep their
relative precision: the state of an optimizer, or weights that are nearly normal.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.compress.bits import pack_bits, unpack_bits
from deepopt_lib.compress.codec import BaseCodec, shape_of
from deepopt_lib.core.checks import check_array, check_bool, check_int
from deepopt_lib.core.types import Array

__all__ = ["Blockwise", "BlockwiseCode", "table"]

GRIDS = ("dynamic", "normal", "linear")


@functools.cache
def table(name: str, bits: int, signed: bool = True) -> tuple[float, ...]:
    """Return the values of a grid in [-1, 1], or in [0, 1] if not ``signed``.

    There are 2**bits of them, one less in a signed linear grid.

    - ``"dynamic"``: the dynamic code (Dettmers 2016; Dettmers et al. 2022, section 2.1,
      without a sign for what is never negative). A decade below 1 for each bit but
      one, and in each decade half as many values as in the one above, evenly spaced;
      and 0 and 1.
    - ``"normal"``: NormalFloat (Dettmers et al. 2023, section 3, nf4 for 4 bits): the
      quantiles of the normal distribution, with an exact 0. Always signed.
    - ``"linear"``: evenly spaced, with an exact 0: the control.

    Raises
    ------
    ValueError
        If there is no such grid, ``bits`` is outside [2, 8], or ``signed`` no bool.
    """
    check_grid("name", name)
    check_int("bits", bits, 2, 8)
    check_bool("signed", signed)
    if name == "linear":
        if not signed:
            return tuple(np.linspace(0, 1, 2**bits))
        half = np.linspace(0, 1, 2 ** (bits - 1))
        return tuple(np.concatenate([-half[:0:-1], half]))
    if name == "normal":
        tail = (1 / (2 * 2**bits) + 1 / (2 * (2**bits - 1))) / 2
        below = np.linspace(tail, 0.5, 2 ** (bits - 1))
        above = np.linspace(0.5, 1 - tail, 2 ** (bits - 1) + 1)[1:]
        values = [NormalDist().inv_cdf(p) for p in (*below, *above)]
        return tuple(np.minimum(np.array(values) / -values[0], 1))
    decades = bits - 1
    values = [0.0, 1.0]
    for e in range(decades):  # 10**-e * (0.1, 1]
        count = 2 ** (decades - 1 - e) * (1 if signed else 2)
        edges = np.linspace(0.1, 1, count + 1)
        means = 10.0**-e * (edges[:-1] + edges[1:]) / 2
        values += [*means, *(-means if signed else ())]
    return tuple(sorted(values))


def check_grid(name: str, grid: Any) -> None:
    """Refuse the name of a table that there is not."""
    if grid not in GRIDS:
        raise ValueError(f"{name} must be one of {GRIDS}, got {grid!r}")


class BlockwiseCode(NamedTuple):
    """Packed places in the table, a scale for every block, and which table it is."""

    packed: NDArray[np.uint8]
    scale: Array
    signed: NDArray[np.bool_]
    shape: NDArray[np.int32]


@dataclass(frozen=True)
class Blockwise(BaseCodec):
    """Code each entry by the nearest of 2**bits values, times the scale of its block.

    Dettmers et al. (2022), section 2; ``grid`` is the name of a `table`, ``block`` a
    number of consecutive entries. The scale is the block's largest size; with the
    dynamic table, which has a 1 and no -1, it takes that entry's sign as well. An array
    without negative entries gets the unsigned table. ``Blockwise()`` is the 8-bit code
    for optimizer states, ``Blockwise("normal", 4, 64)`` is nf4. Stored:
    ``bits/8 + itemsize/block`` bytes an entry, and the sign and the shape.

    Raises
    ------
    ValueError
        If an argument is out of range, or an array is empty, not finite, not floating.
    """

    grid: str = "dynamic"
    bits: int = 8
    block: int = 256

    def __post_init__(self) -> None:
        """Check every argument."""
        check_grid("Blockwise.grid", self.grid)
        object.__setattr__(self, "bits", check_int("Blockwise.bits", self.bits, 2, 8))
        object.__setattr__(self, "block", check_int("Blockwise.block", self.block))

    def encode(self, x: Array, /) -> BlockwiseCode:
        """Return the code of ``x``, any shape."""
        check_array("x", x)
        blocks = _blocks(x, self.block)
        largest = np.abs(blocks).argmax(axis=1)[:, None]
        scale = np.take_along_axis(blocks, largest, axis=1)
        if self.grid != "dynamic":  # the other tables have a -1
            scale = np.abs(scale)
        unit = blocks / np.where(scale == 0, 1, scale)
        signed = bool(x.min() < 0) or self.grid == "normal"
        codes = _nearest(unit, self.grid, self.bits, signed)
        packed = pack_bits(codes.ravel()[: x.size], self.bits)
        return BlockwiseCode(packed, scale[:, 0], np.array(signed), shape_of(x))

    def decode(self, code: BlockwiseCode, /) -> Array:
        """Return the values, in the dtype of the scale."""
        n = int(np.prod(code.shape))
        values = table(self.grid, self.bits, bool(code.signed))
        codes = _blocks(unpack_bits(code.packed, self.bits, n), self.block)
        blocks = np.array(values, code.scale.dtype)[codes] * code.scale[:, None]
        x: Array = blocks.ravel()[:n].reshape(code.shape)
        return x


@functools.cache
def _borders(grid: str, bits: int, signed: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the borders between a table's values, and the code at 2**16 numbers.

    The upper half of a float32's bits names a number and the few above it, among which
    there is one border at most: the code at the smallest is right, or one too low.
    """
    values = np.array(table(grid, bits, signed))
    borders = ((values[:-1] + values[1:]) / 2).astype(np.float32)
    bits32 = np.arange(2**16, dtype=np.uint32) << 16
    smallest = (bits32 | np.where(bits32 >> 31, 0xFFFF, 0).astype(np.uint32)).view("f4")
    codes = np.searchsorted(borders, np.nan_to_num(smallest)).astype(np.uint8)
    return np.append(borders, np.float32(np.inf)), codes


def _nearest(unit: Array, grid: str, bits: int, signed: bool) -> NDArray[np.uint8]:
    """Return the code of the nearest value; ``unit`` in [-1, 1] is read as float32."""
    borders, at = _borders(grid, bits, signed)
    single = np.ascontiguousarray(unit, np.float32)
    codes: NDArray[np.uint8] = at[single.view(np.uint32) >> 16]
    return codes + (single > borders[codes])


def _blocks(x: NDArray[Any], block: int) -> NDArray[Any]:
    """Return (blocks, block), the last block filled up with zeros."""
    flat = x.ravel()
    return np.pad(flat, (0, -x.size % block)).reshape(-1, block)
