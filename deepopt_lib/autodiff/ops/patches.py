"""What a convolution is made of: patches as rows, borders, sums by channel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

__all__ = [
    "Blocks",
    "add_border",
    "add_channels",
    "cut_patches",
    "keep_patches",
    "sum_channels",
]

Blocks = Iterable[tuple[slice, Any]]
CACHE = 2**18  # numbers of a block of patches: a megabyte in float32


def add_channels(out: Any, b: Any) -> Any:
    """Add a number a channel in place; return the whole lines, a view.

    Line by line, because loops over the channels alone are short and slow.
    """
    n, h, w, c = out.shape
    lines = out.reshape(n * h, w * c)
    lines += np.concatenate([b] * w)
    return lines


def sum_channels(d: Any) -> Any:
    """Return the sum of each channel, by whole lines."""
    n, h, w, c = d.shape
    lines = np.add.reduce(d.reshape(n * h, w * c), axis=0)
    return np.add.reduce(lines.reshape(w, c), axis=0)


def add_border(shape: tuple[int, ...], W: Any, pad: int, dtype: Any) -> tuple[Any, Any]:
    """Return zeros for the output's cotangent with a border, and the view inside it."""
    n, h, w, c = shape
    top, left = W.shape[0] - 1 - pad, W.shape[1] - 1 - pad
    full = n, h + 2 * top, w + 2 * left, c
    bordered = np.zeros_like(W, shape=full, dtype=dtype, order="C")
    return bordered, bordered[:, top : top + h, left : left + w]


def keep_patches(
    x: Any, kernels: tuple[int, ...], pool: int = 1
) -> Callable[[], Blocks]:
    """Return a function that yields `cut_patches`; it keeps those of a few channels.

    That is, where they are no larger than the output.
    """
    kh, kw, c, c_out = kernels
    if kh * kw * c > c_out:
        return lambda: cut_patches(x, kernels, pool)
    kept = [(i, patches.copy("K")) for i, patches in cut_patches(x, kernels, pool)]
    return lambda: kept


def cut_patches(x: Any, kernels: tuple[int, ...], pool: int = 1) -> Blocks:
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
    block = np.empty_like(x, shape=shape)  # is counted if x is (`cost`)
    for i in range(0, n, size):
        if i + size > n:  # what is left for the last block
            shape = (*shape[:axis], n - i, *shape[axis + 1 :])
            block = np.empty_like(x, shape=shape)
        block[...] = as_strided(x[i:], shape, strides, writeable=False)
        yield (
            slice(i, i + size),
            block.reshape(k, -1).T if few else block.reshape(-1, k),
        )
