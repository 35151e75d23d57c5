"""Weight-only quantization: 8-bit weights, floating-point activations, less to read.

At batch 1 a layer's time is the time to read its weights. Reading a quarter of the
bytes pays if the codes become floats in registers, which takes a compiled loop
(numba, the extra ``fast``); NumPy has to write them to memory first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.compress.quantization.affine import Affine
from deepopt_lib.core.checks import check_array
from deepopt_lib.core.optional import numba_is_installed
from deepopt_lib.core.products import matmul
from deepopt_lib.core.types import Array

__all__ = ["Int8Layer", "int8_layer", "int8_linear"]

BLOCK = 128  # outputs that are decoded at a time without numba


class Int8Layer(NamedTuple):
    """The codes of a layer, output by output, and a scale for each output."""

    codes: NDArray[np.int8]  # (n_out, n_in)
    scale: Array  # (n_out,)


def int8_layer(W: Array) -> Int8Layer:
    """Quantize W (n_in, n_out) to 8 bits, symmetric, a scale for each output.

    ``abs(W - scale * codes.T) <= scale/2`` (Jacob et al. 2018, eq. 1 with zero point
    0). About a quarter of a float32 matrix.

    Raises
    ------
    ValueError
        If W is no finite matrix of float32 or float64.
    """
    check_array("W", W, ndim=2)
    grid = Affine(8, symmetric=True, axis=1).fit(W)
    codes = grid.codes(W.T).astype(np.int16) - grid.zero.astype(np.int16)
    return Int8Layer(np.ascontiguousarray(codes, np.int8), grid.scale[:, 0])


def int8_linear(x: Array, layer: Int8Layer) -> Array:
    """Return ``x @ (scale * codes).T`` for one sample x (n_in,), in x's dtype.

    The sums are taken in float32. In another order than NumPy's they differ in the last
    digits.

    Raises
    ------
    ValueError
        If x is not a finite floating-point vector of the right length.
    """
    check_array("x", x, ndim=1)
    if x.shape != layer.codes.shape[1:]:
        raise ValueError(f"x must be ({layer.codes.shape[1]},), got {x.shape}")
    single = np.ascontiguousarray(x, np.float32)
    if numba_is_installed():
        out = np.empty(len(layer.codes), np.float32)
        _compiled()(single, layer.codes, out)
    else:
        spans = range(0, len(layer.codes), BLOCK)
        blocks = (layer.codes[i : i + BLOCK].astype(np.float32) for i in spans)
        out = np.concatenate([matmul(block, single) for block in blocks])
    y: Array = (out * layer.scale).astype(x.dtype)
    return y


def _products(x: Any, codes: Any, out: Any) -> None:
    """Compute ``codes @ x``, four outputs at a time, and the last ones singly.

    The four are a quarter of the matrix apart: each quarter is read from its beginning
    to its end, which the processor foresees. Four neighbors took a third longer.
    """
    n_out, n_in = codes.shape
    h, zero = n_out // 4, np.float32(0)
    for j in range(h):
        a, b, c, d = zero, zero, zero, zero
        for i in range(n_in):
            a += x[i] * np.float32(codes[j, i])
            b += x[i] * np.float32(codes[j + h, i])
            c += x[i] * np.float32(codes[j + 2 * h, i])
            d += x[i] * np.float32(codes[j + 3 * h, i])
        out[j], out[j + h], out[j + 2 * h], out[j + 3 * h] = a, b, c, d
    for j in range(4 * h, n_out):
        rest = zero
        for i in range(n_in):
            rest += x[i] * np.float32(codes[j, i])
        out[j] = rest


@functools.cache
def _compiled() -> Callable[..., None]:
    import numba

    # fastmath: the sums may be taken in any order, which is what makes vectors of them
    kernel: Callable[..., None] = numba.njit(fastmath=True, cache=True)(_products)
    return kernel
