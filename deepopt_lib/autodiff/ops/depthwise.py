"""Depthwise convolution: every channel has a kernel of its own and stays by itself."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from deepopt_lib.autodiff.tape import Result, primitive
from deepopt_lib.core.checks import check_int
from deepopt_lib.core.shapes import check_shapes

__all__ = ["depthwise2d"]


@primitive
def depthwise2d(x: Any, W: Any, b: Any, *, pad: int = 0) -> Result:
    """Convolve each channel with its own kernel: Howard et al. (2017), eq. 3.

    ``out[n, i, j, c] = b[c] + sum_uv padded[n, i+u, j+v, c] * W[u, v, c]`` with ``pad``
    zeros on each side; followed by a 1 x 1 convolution, which is `linear` on the
    channels, it is *depthwise separable*.

    x (batch, height, width, c), W (kh, kw, c), b (c,) ->
    (batch, height + 2*pad - kh + 1, width + 2*pad - kw + 1, c).

    Raises
    ------
    ValueError
        If the shapes do not fit, the image is smaller than the kernel, or ``pad`` is
        not an int in [0, min(kh, kw)).
    """
    check_shapes(
        "depthwise2d", "x (batch, height, width, c), W (kh, kw, c), b (c,)", x, W, b
    )
    n, height, width, c = x.shape
    kh, kw, _ = W.shape
    check_int("pad", pad, 0, min(kh, kw) - 1)
    rows, columns = height + 2 * pad - kh + 1, width + 2 * pad - kw + 1
    if rows < 1 or columns < 1:
        raise ValueError(
            f"depthwise2d: images {x.shape} are smaller than kernels {W.shape}"
        )
    padded = np.zeros((n, height + 2 * pad, width + 2 * pad, c), x.dtype)
    inside = (slice(None), slice(pad, pad + height), slice(pad, pad + width))
    padded[inside] = x
    places = [
        (u, v, (slice(None), slice(u, u + rows), slice(v, v + columns)))
        for u, v in product(range(kh), range(kw))
    ]
    out = np.zeros((n, rows, columns, c), np.result_type(x, W))
    for u, v, window in places:
        out += padded[window] * W[u, v]
    out += b

    def pull_x(d: Any) -> Any:
        dx = np.zeros(padded.shape, np.result_type(d, W))
        for u, v, window in places:
            dx[window] += d * W[u, v]
        return dx[inside]

    def pull_kernels(d: Any) -> Any:
        dW = np.zeros(W.shape, np.result_type(d, x))
        for u, v, window in places:
            dW[u, v] = np.sum(padded[window] * d, axis=(0, 1, 2))
        return dW

    return out, (pull_x, pull_kernels, lambda d: np.sum(d, axis=(0, 1, 2)))
