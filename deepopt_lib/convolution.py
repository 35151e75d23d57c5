"""Convolution of images, (batch, height, width, channels), alone and as a whole layer.

A convolution is one matrix product of patches and kernels. Channels come last, so that
a patch is a few long runs of memory. The patches are copied out a cache-full at a time
and not kept, except for few channels: copying them again for the backward pass costs
less than reading them from memory. The patches of the output's cotangent give the
cotangents of the images and of the kernels at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from deepopt_lib.checked import is_int
from deepopt_lib.pooling import first_max, to_first_max
from deepopt_lib.shapes import check_shapes
from deepopt_lib.tape import Result, Shared, primitive

__all__ = ["conv2d", "conv_layer"]

CACHE = 2**18  # numbers of a block of patches: a megabyte in float32


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
    blocks = _blocks(padded, W.shape)
    for images, patches in blocks():
        np.matmul(patches, kernels, out=out[images].reshape(-1, len(b)))
    _add_channels(out, b)

    @Shared
    def pull_both(d: Any) -> tuple[Any, Any]:
        bordered, inside = _bordered(out.shape, W, pad, d.dtype)
        inside[...] = d
        return _pull_both(bordered, x, W)

    def pull_kernels(d: Any) -> Any:
        if pull_both.knows(d):
            return pull_both(d)[1]
        dW = np.zeros(kernels.shape, np.result_type(padded, d))
        for images, patches in blocks():
            dW += patches.T @ d[images].reshape(-1, len(b))
        return dW.reshape(W.shape)

    return out, (lambda d: pull_both(d)[0], pull_kernels, _sum_channels)


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
        As `conv2d` and `deepopt_lib.pooling.max_pool`.
    """
    padded = _checked("conv_layer", x, W, b, pad)
    n, h, w, c_out = full = _out_shape(padded, W)
    if not is_int(pool) or pool < 1 or h % pool or w % pool:
        raise ValueError(
            f"pool must be an int >= 1 that divides {h}, {w}, got {pool!r}"
        )
    places = pool * pool
    kernels = W.reshape(-1, c_out)
    out = np.empty((n, h // pool, w // pool, c_out), np.result_type(padded, W))
    beats = np.empty((places, *out.shape), bool)
    blocks = _blocks(padded, W.shape, pool)
    for images, patches in blocks():
        best = out[images]
        z = (patches @ kernels).reshape(places, *best.shape)
        first_max(z, best, beats[:, images])
    lines = _add_channels(out, b)
    np.maximum(lines, np.zeros_like(lines[:1]), out=lines)  # faster than with one zero

    @Shared
    def pull_linear(d: Any) -> Any:
        return d * (out > 0)  # (n, h/pool, w/pool, c_out)

    @Shared
    def pull_both(d: Any) -> tuple[Any, Any]:
        bordered, inside = _bordered(full, W, pad, d.dtype)
        parts = [inside[:, i::pool, j::pool] for i in range(pool) for j in range(pool)]
        to_first_max(pull_linear(d), beats, parts)
        return _pull_both(bordered, x, W)

    def pull_kernels(d: Any) -> Any:
        if pull_both.knows(d):
            return pull_both(d)[1]
        dz = np.empty(beats.shape, d.dtype)
        to_first_max(pull_linear(d), beats, dz)
        dW = np.zeros(kernels.shape, np.result_type(padded, dz))
        for images, patches in blocks():
            columns = patches.T.reshape(len(dW), places, -1)
            for i in range(places):
                dW += columns[:, i] @ dz[i, images].reshape(-1, c_out)
        return dW.reshape(W.shape)

    return out, (
        lambda d: pull_both(d)[0],
        pull_kernels,
        lambda d: _sum_channels(pull_linear(d)),
    )


def _checked(what: str, x: Any, W: Any, b: Any, pad: int) -> Any:
    """Check the arguments; return the images with their border of zeros."""
    wanted = "x (batch, height, width, c_in), W (kh, kw, c_in, c_out), b (c_out,)"
    check_shapes(what, wanted, x, W, b)
    n, h, w, c = x.shape
    kh, kw = W.shape[:2]
    if not is_int(pad) or not 0 <= pad < min(kh, kw):
        raise ValueError(f"pad must be an int in [0, {min(kh, kw)}), got {pad!r}")
    if h + 2 * pad < kh or w + 2 * pad < kw:
        raise ValueError(f"{what}: images {x.shape} are smaller than kernels {W.shape}")
    if not pad:
        return x
    padded = np.zeros((n, h + 2 * pad, w + 2 * pad, c), x.dtype)
    padded[:, pad : pad + h, pad : pad + w] = x
    return padded


def _out_shape(padded: Any, W: Any) -> tuple[int, int, int, int]:
    kh, kw, _, c_out = W.shape
    n, height, width, _ = padded.shape
    return n, height - kh + 1, width - kw + 1, c_out


def _add_channels(out: Any, b: Any) -> Any:
    """Add a number a channel in place; return the whole lines, a view.

    Line by line, because loops over the channels alone are short and slow.
    """
    n, h, w, c = out.shape
    lines = out.reshape(n * h, w * c)
    lines += np.concatenate([b] * w)
    return lines


def _sum_channels(d: Any) -> Any:
    """Return the sum of each channel, by whole lines."""
    n, h, w, c = d.shape
    lines = np.add.reduce(d.reshape(n * h, w * c), axis=0)
    return np.add.reduce(lines.reshape(w, c), axis=0)


def _bordered(shape: tuple[int, ...], W: Any, pad: int, dtype: Any) -> tuple[Any, Any]:
    """Return zeros for the output's cotangent with a border, and the view inside it."""
    n, h, w, c = shape
    top, left = W.shape[0] - 1 - pad, W.shape[1] - 1 - pad
    bordered = np.zeros((n, h + 2 * top, w + 2 * left, c), dtype)
    return bordered, bordered[:, top : top + h, left : left + w]


def _pull_both(bordered: Any, x: Any, W: Any) -> tuple[Any, Any]:
    """Return the cotangents of x and W: a convolution with the kernels turned."""
    kh, kw, c_in, c_out = W.shape
    turned = W[::-1, ::-1].swapaxes(2, 3)  # (kh, kw, c_out, c_in)
    kernels = turned.reshape(-1, c_in)
    dx = np.empty(x.shape, np.result_type(bordered, W))
    dW = np.zeros((c_in, len(kernels)), np.result_type(bordered, x))
    for images, patches in _patches(bordered, turned.shape):
        np.matmul(patches, kernels, out=dx[images].reshape(-1, c_in))
        dW += x[images].reshape(-1, c_in).T @ patches
    return dx, dW.reshape(c_in, kh, kw, c_out)[:, ::-1, ::-1].transpose(1, 2, 0, 3)


Blocks = Iterable[tuple[slice, Any]]


def _blocks(x: Any, kernels: tuple[int, ...], pool: int = 1) -> Callable[[], Blocks]:
    """Return a function that yields `_patches`; it keeps those of a few channels.

    That is, where they are no larger than the output.
    """
    kh, kw, c, c_out = kernels
    if kh * kw * c > c_out:
        return lambda: _patches(x, kernels, pool)
    kept = [(i, patches.copy("K")) for i, patches in _patches(x, kernels, pool)]
    return lambda: kept


def _patches(x: Any, kernels: tuple[int, ...], pool: int = 1) -> Blocks:
    """Yield (images, their patches as rows of kh*kw*c numbers), some images at a time.

    The rows are in the order (pool, pool, images, h/pool, w/pool): by the place in a
    window first. The matrix of patches is overwritten at the next turn.
    """
    kh, kw, c, _ = kernels
    n, h, w = len(x), (x.shape[1] - kh + 1) // pool, (x.shape[2] - kw + 1) // pool
    k = kh * kw * c
    blocks = max(1, round(n * pool * pool * h * w * k / CACHE))
    size = max(1, -(-n // blocks))
    rows, columns = (pool, pool, size, h, w), (kh, kw, c)
    si, sy, sx, sc = x.strides
    row_strides, column_strides = (sy, sx, si, pool * sy, pool * sx), (sy, sx, sc)
    # Copy runs of kw*c numbers into rows; with few channels, runs of w into columns.
    few = c * kw < w
    shape: tuple[int, ...] = columns + rows if few else rows + columns
    strides = column_strides + row_strides if few else row_strides + column_strides
    axis = 5 if few else 2  # of the images
    block = np.empty(shape, x.dtype)
    for i in range(0, n, size):
        if i + size > n:  # what is left for the last block
            shape = (*shape[:axis], n - i, *shape[axis + 1 :])
            block = np.empty(shape, x.dtype)
        block[...] = as_strided(x[i:], shape, strides, writeable=False)
        yield (
            slice(i, i + size),
            block.reshape(k, -1).T if few else block.reshape(-1, k),
        )
