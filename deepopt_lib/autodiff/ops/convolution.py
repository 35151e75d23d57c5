"""Convolution of images, (batch, height, width, channels), alone and as a whole layer.

A convolution is one matrix product of patches and kernels. Channels come last, so that
a patch is a few long runs of memory. The patches are copied out a cache-full at a time
and not kept, except for few channels: copying them again for the backward pass costs
less than reading them from memory. The patches of the output's cotangent give the
cotangents of the images and of the kernels at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deepopt_lib.autodiff.ops.patches import (
    add_border,
    add_channels,
    cut_patches,
    keep_patches,
    sum_channels,
)
from deepopt_lib.autodiff.ops.pooling import first_max, to_first_max
from deepopt_lib.autodiff.tape import Result, Shared, primitive
from deepopt_lib.core.checks import check_int
from deepopt_lib.core.products import matmul
from deepopt_lib.core.shapes import check_shapes

__all__ = ["conv2d", "conv_layer"]


@primitive
def conv2d(x: Any, W: Any, b: Any, *, pad: int = 0) -> Result:
    """Convolve images with kernels: LeCun et al. (1998), section II.A.

    ``out[n, i, j] = b + sum_uv padded[n, i+u, j+v] @ W[u, v]`` with ``pad`` zeros on
    each side: a cross-correlation of stride 1, as in every framework.

    x (batch, height, width, c_in), W (kh, kw, c_in, c_out), b (c_out,) ->
    (batch, height + 2*pad - kh + 1, width + 2*pad - kw + 1, c_out).

    Raises
    ------
    ValueError
        If the shapes do not fit, the image is smaller than the kernel, or ``pad`` is
        not an int in [0, min(kh, kw)).
    """
    padded = _checked("conv2d", x, W, b, pad)
    kernels = W.reshape(-1, len(b))
    out = np.empty(_out_shape(padded, W), np.result_type(padded, W))
    blocks = keep_patches(padded, W.shape)
    for images, patches in blocks():
        matmul(patches, kernels, out=out[images].reshape(-1, len(b)))
    add_channels(out, b)

    @Shared
    def pull_both(d: Any) -> tuple[Any, Any]:
        bordered, inside = add_border(out.shape, W, pad, d.dtype)
        inside[...] = d
        return _pull_both(bordered, x, W)

    def pull_kernels(d: Any) -> Any:
        if pull_both.knows(d):
            return pull_both(d)[1]
        dW = np.zeros(kernels.shape, np.result_type(padded, d))
        for images, patches in blocks():
            dW += matmul(patches.T, d[images].reshape(-1, len(b)))
        return dW.reshape(W.shape)

    return out, (lambda d: pull_both(d)[0], pull_kernels, sum_channels)


@primitive
def conv_layer(x: Any, W: Any, b: Any, *, pad: int = 0, pool: int = 2) -> Result:
    """Compute ``relu(max_pool(conv2d(x, W, b, pad=pad), size=pool))`` in one pass.

    The product is taken for each of the pool**2 places in a window apart, so that the
    maximum runs over whole blocks while they are in the cache, and bias and relu see
    1/pool**2 of the numbers. x (batch, height, width, c_in), W (kh, kw, c_in, c_out),
    b (c_out,) -> (batch, height'/pool, width'/pool, c_out), height' as in `conv2d`.

    Raises
    ------
    ValueError
        As `conv2d`, or if ``pool`` is not an int >= 1 that divides height' and width'.
    """
    padded = _checked("conv_layer", x, W, b, pad)
    n, h, w, c_out = full = _out_shape(padded, W)
    check_int("pool", pool)
    if h % pool or w % pool:
        raise ValueError(f"pool must divide height {h} and width {w}, got {pool}")
    places = pool * pool
    kernels = W.reshape(-1, c_out)
    out = np.empty((n, h // pool, w // pool, c_out), np.result_type(padded, W))
    beats = np.empty((places, *out.shape), bool)
    blocks = keep_patches(padded, W.shape, pool)
    for images, patches in blocks():
        best = out[images]
        z = matmul(patches, kernels).reshape(places, *best.shape)
        first_max(z, best, beats[:, images])
    lines = add_channels(out, b)
    np.maximum(lines, np.zeros_like(lines[:1]), out=lines)  # faster than with one zero

    @Shared
    def pull_linear(d: Any) -> Any:
        return d * (out > 0)  # (n, h/pool, w/pool, c_out)

    def pull_places(d: Any) -> Any:
        """Return the cotangent before the maximum, by place: (places, *out.shape)."""
        dz = np.empty(beats.shape, d.dtype)
        to_first_max(pull_linear(d), beats, dz)
        return dz

    @Shared
    def pull_both(d: Any) -> tuple[Any, Any]:
        bordered, inside = add_border(full, W, pad, d.dtype)
        for i, part in enumerate(pull_places(d)):
            inside[:, i // pool :: pool, i % pool :: pool] = part
        return _pull_both(bordered, x, W)

    def pull_kernels(d: Any) -> Any:
        if pull_both.knows(d):
            return pull_both(d)[1]
        dz = pull_places(d)
        dW = np.zeros(kernels.shape, np.result_type(padded, dz))
        for images, patches in blocks():
            columns = patches.T.reshape(len(dW), places, -1)
            for i in range(places):
                dW += matmul(columns[:, i], dz[i, images].reshape(-1, c_out))
        return dW.reshape(W.shape)

    return out, (
        lambda d: pull_both(d)[0],
        pull_kernels,
        lambda d: sum_channels(pull_linear(d)),
    )


def _checked(what: str, x: Any, W: Any, b: Any, pad: int) -> Any:
    """Check the arguments; return the images with their border of zeros."""
    wanted = "x (batch, height, width, c_in), W (kh, kw, c_in, c_out), b (c_out,)"
    check_shapes(what, wanted, x, W, b)
    n, h, w, c = x.shape
    kh, kw = W.shape[:2]
    check_int("pad", pad, 0, min(kh, kw) - 1)
    if h + 2 * pad < kh or w + 2 * pad < kw:
        raise ValueError(f"{what}: images {x.shape} are smaller than kernels {W.shape}")
    if not pad:
        return x
    shape = n, h + 2 * pad, w + 2 * pad, c
    padded = np.zeros_like(x, shape=shape, order="C")
    padded[:, pad : pad + h, pad : pad + w] = x
    return padded


def _out_shape(padded: Any, W: Any) -> tuple[int, int, int, int]:
    kh, kw, _, c_out = W.shape
    n, height, width, _ = padded.shape
    return n, height - kh + 1, width - kw + 1, c_out


def _pull_both(bordered: Any, x: Any, W: Any) -> tuple[Any, Any]:
    """Return the cotangents of x and W: a convolution with the kernels turned."""
    kh, kw, c_in, c_out = W.shape
    turned = W[::-1, ::-1].swapaxes(2, 3)  # (kh, kw, c_out, c_in)
    kernels = turned.reshape(-1, c_in)
    dx = np.empty(x.shape, np.result_type(bordered, W))
    dW = np.zeros((c_in, len(kernels)), np.result_type(bordered, x))
    for images, patches in cut_patches(bordered, turned.shape):
        matmul(patches, kernels, out=dx[images].reshape(-1, c_in))
        dW += matmul(x[images].reshape(-1, c_in).T, patches)
    return dx, dW.reshape(c_in, kh, kw, c_out)[:, ::-1, ::-1].transpose(1, 2, 0, 3)
