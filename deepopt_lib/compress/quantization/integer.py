"""Inference in integers alone: 8-bit products, 32-bit sums, no float until the end."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.compress.quantization.affine import Affine
from deepopt_lib.compress.quantization.grid import Grid
from deepopt_lib.core.checks import check_array
from deepopt_lib.core.products import matmul
from deepopt_lib.core.types import Array, Params

__all__ = ["IntegerLayer", "IntegerNetwork", "integer_mlp", "multiplier"]


LARGEST_PRODUCT = 127 * 255
MOST_INPUTS = 2**16  # their products add up to less than 2**31


class IntegerLayer(NamedTuple):
    """One layer: what is stored, all of it integers.

    ``out = clip(zero_out + M * (x @ W + b))``, where M, one number an output, is
    ``factor * 2**-shift``.
    """

    W: NDArray[np.int8]  # (n_in, n_out)
    b: NDArray[np.int32]  # (n_out,): the bias, less zero_in times the sum over inputs
    factor: NDArray[np.int32]  # (n_out,)
    shift: NDArray[np.int8]  # (n_out,)
    zero_out: NDArray[np.uint8]


class IntegerNetwork(NamedTuple):
    """Layers in order, and the grids of the first input and the last output."""

    layers: tuple[IntegerLayer, ...]
    scale_in: Array
    zero_in: NDArray[np.uint8]
    scale_out: Array

    def codes(self, x: Array) -> NDArray[np.uint8]:
        """Return the output's codes for x (batch, n_in): floats are read, none made."""
        nearest = np.rint(x / self.scale_in) + self.zero_in
        a: NDArray[np.uint8] = np.clip(nearest, 0, 255).astype(np.uint8)
        for layer in self.layers:
            a = _step(layer, a)
        return a

    def __call__(self, x: Array) -> Array:
        """Return the logits: the codes times the scale of the output."""
        zero = self.layers[-1].zero_out.astype(np.int32)
        return self.scale_out * (self.codes(x) - zero).astype(np.float64)


def _step(layer: IntegerLayer, a: NDArray[np.uint8]) -> NDArray[np.uint8]:
    sums = a.astype(np.int32) @ layer.W.astype(np.int32) + layer.b  # int32
    wide = sums.astype(np.int64) * layer.factor
    shift = layer.shift.astype(np.int64)
    rounded = (wide + (np.int64(1) << (shift - 1))) >> shift
    # With zero_out = 0 for a layer with relu, the clip is the relu.
    out: NDArray[np.uint8] = np.clip(rounded + layer.zero_out, 0, 255).astype(np.uint8)
    return out


def multiplier(M: Array) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Return ``factor`` and ``shift`` with ``M = factor * 2**-shift``, to 31 bits.

    Jacob et al. (2018), eq. 6: factor in [2**30, 2**31), so that a scale becomes an
    integer product and a shift. Theirs is below 1, "empirically"; that of a layer whose
    outputs hardly vary is not.

    Raises
    ------
    ValueError
        If an M is not in [2**-31, 2**30), where the product fits into 64 bits.
    """
    if not np.all((M >= 2.0**-31) & (M < 2.0**30)):
        raise ValueError(
            f"M must be in [2**-31, 2**30), got {np.min(M):g} to {np.max(M):g}"
        )
    fraction, exponent = np.frexp(M)  # M = fraction * 2**exponent, fraction in [.5, 1)
    factor = np.rint(fraction * 2.0**31).astype(np.int64)
    over = factor == 2**31  # rounded up to one
    factor = np.where(over, 2**30, factor)
    return factor.astype(np.int32), (31 - exponent - over).astype(np.int8)


def integer_mlp(params: Params, x: Array) -> IntegerNetwork:
    """Convert a trained relu MLP (`deepopt_lib.nn.mlp`) to integers.

    Jacob et al. (2018), sections 2.2 to 2.4: weights int8, symmetric, a scale for each
    output; activations uint8 with ranges from the calibration inputs x (samples,
    n_in); biases int32 at the scale of the products. A sum of K products is below
    ``K * 127 * 255``: exact in int32 for K up to 2**16.

    The scale of an output with next to no weights, or none, is raised until its bias
    fits into 32 bits as well: its weights round to less, which the bias hides.

    Raises
    ------
    ValueError
        If the parameters are not those of an MLP, x does not fit them, anything is not
        finite, or a layer has more than 2**16 inputs.
    """
    check_array("x", x, ndim=2)
    activations = Affine(8)
    grid = activations.fit(x)
    scale_in, zero_in = grid.scale[0, 0], grid.zero[0, 0]
    first = np.asarray(scale_in), np.asarray(zero_in, np.uint8)
    depth, layers = _depth(params), []
    for i in range(1, depth + 1):
        W, b = _check_layer(params, i, x)
        x = matmul(x, W) + b
        x = np.maximum(x, 0) if i < depth else x
        out = activations.fit(x)
        scale_out, zero_out = out.scale[0, 0], out.zero[0, 0]
        scales = _weight_grid(W, b, scale_in, scale_out)
        codes = (scales.codes(W.T) - scales.zero).T.astype(np.int32)  # (n_in, n_out)
        unit = scale_in * scales.scale[:, 0]  # of a product
        bias = np.rint(b / unit).astype(np.int64) - int(zero_in) * codes.sum(axis=0)
        layers.append(
            IntegerLayer(
                codes.astype(np.int8),
                bias.astype(np.int32),
                *multiplier(unit / scale_out),
                np.asarray(zero_out, np.uint8),
            )
        )
        scale_in, zero_in = scale_out, zero_out
    return IntegerNetwork(tuple(layers), *first, np.asarray(scale_in))


def _weight_grid(W: Array, b: Array, scale_in: Array, scale_out: Array) -> Grid:
    """Return the grid of W, a line for each output.

    As fine as the weights allow; but the bias must fit beside the sum of products, and
    a whole int32 must be worth a step of the output.
    """
    grid = Affine(8, symmetric=True, axis=1).fit(W)
    scale = np.where(W.any(axis=0), grid.scale[:, 0], 0)
    room = 2**31 - 2**12 - LARGEST_PRODUCT * len(W)  # 2**12: float32 rounds
    least = np.maximum(np.abs(b) / room, scale_out * 2.0**-31) / scale_in
    return grid._replace(scale=np.maximum(scale, least)[:, None])


def _depth(params: Params) -> int:
    depth = len(params) // 2
    names = {f"layer{i}.{k}" for i in range(1, depth + 1) for k in "Wb"}
    if not names or params.keys() != names:
        raise ValueError(f"params must be layer1.W, layer1.b, ..., got {list(params)}")
    return depth


def _check_layer(params: Params, i: int, x: Array) -> tuple[Array, Array]:
    name = f"layer{i}.W"
    W, b = params[name], params[f"layer{i}.b"]
    check_array(name, W, ndim=2)
    check_array(f"layer{i}.b", b, ndim=1)
    if x.shape[1] != W.shape[0]:
        raise ValueError(f"{name} {W.shape} does not fit {x.shape[1]} inputs")
    if b.shape != W.shape[1:]:
        raise ValueError(f"{name} {W.shape} does not fit a bias {b.shape}")
    if len(W) > MOST_INPUTS:
        raise ValueError(f"{name} has {len(W)} inputs, int32 sums {MOST_INPUTS}")
    return W, b
