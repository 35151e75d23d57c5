"""Differential privacy: gradients that no single sample can sway by much, at a price.

DP-SGD (Abadi et al. 2016, Algorithm 1): draw a Poisson sample, clip the gradient of
each of its samples, add noise to the sum. What that promises is computed in
`deepopt_lib.privacy.accountant`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.autodiff.backward import value_and_grad
from deepopt_lib.autodiff.ops.arithmetic import linear, relu
from deepopt_lib.autodiff.ops.arrays import sum, take
from deepopt_lib.autodiff.ops.softmax import log_softmax
from deepopt_lib.core.checks import check_int, check_number
from deepopt_lib.core.products import matmul
from deepopt_lib.core.shapes import check_indices
from deepopt_lib.core.tree import global_norm
from deepopt_lib.core.types import Array, Grads, Params

__all__ = ["clip_factors", "clipped_sum", "mlp_clipped_sum", "poisson", "privatize"]


def poisson(n: int, q: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a sample of 0 .. n-1 that each index enters with probability ``q``.

    Its size varies, and it may be empty: the accountant of the sampled Gaussian
    mechanism holds for this sampling, not for shuffled batches of one size.

    Raises
    ------
    ValueError
        If ``n`` is not an int >= 1, or q is outside (0, 1].
    """
    check_int("n", n)
    q = check_number("q", q, 0, 1, "(]")
    return np.flatnonzero(rng.random(n) < q)


def clip_factors(norms: Array, clip: float) -> Array:
    """Return ``min(1, clip/norm)`` for each sample's gradient norm.

    Raises
    ------
    ValueError
        If ``clip`` is not a finite number > 0.
    """
    clip = check_number("clip", clip, 0, math.inf, "()")
    factors: Array = clip / np.maximum(norms, clip)
    return factors


def clipped_sum(
    loss: Callable[..., Any], params: Params, x: Array, y: Any, clip: float
) -> Grads:
    """Return the sum of all samples' gradients, each scaled to a norm <= ``clip``.

    ``sum_i g_i * min(1, clip/|g_i|)`` (Abadi et al. 2016, Algorithm 1), where the norm
    is over all parameters. ``loss(params, x, y)`` is a mean over samples, as in
    `training.fit`; one backward pass a sample. Zeros if there is no sample.

    Raises
    ------
    ValueError
        If ``clip`` is not a finite number > 0, or x and y differ in length.
    """
    clip = check_number("clip", clip, 0, math.inf, "()")
    check_samples(x, y)
    gradient = value_and_grad(loss)
    total = {k: np.zeros_like(w) for k, w in params.items()}
    for i in range(len(x)):
        _, grads = gradient(params, x[i : i + 1], y[i : i + 1])
        factor = float(clip_factors(np.array(global_norm(grads)), clip))
        total = {k: total[k] + factor * g for k, g in grads.items()}
    return total


def mlp_clipped_sum(
    params: Params,
    x: Array,
    y: Any,
    clip: float,
    activation: Callable[[Any], Any] = relu,
) -> Grads:
    """Return `clipped_sum` of the cross-entropy of `nn.mlp`, in one backward pass.

    A sample's gradient of a layer's W is the outer product of the layer's input a and
    the cotangent d of its output, so its squared norm with that of the bias is
    ``(|a|**2 + 1) * |d|**2``, and the sum is ``a.T @ (factor * d)``. No sample's
    gradient is ever formed. x (samples, n_in), y (samples,) of ints.

    Raises
    ------
    ValueError
        If ``clip`` is not a finite number > 0, x and y differ in length, or y are not
        ints in [0, classes).
    """
    check_samples(x, y)
    depth, inputs = len(params) // 2, []
    x = np.asarray(x, params["layer1.W"].dtype)
    y = check_indices("y", y, params[f"layer{depth}.b"].size)

    def total(shifts: Any) -> Any:
        a = x
        for i in range(1, depth + 1):
            inputs.append(getattr(a, "value", a))
            a = linear(a, params[f"layer{i}.W"], params[f"layer{i}.b"])
            a = a + shifts[f"layer{i}"]
            a = activation(a) if i < depth else a
        return sum(-take(log_softmax(a), (np.arange(len(x)), y)))

    layers = [f"layer{i}" for i in range(1, depth + 1)]
    zeros = {k: np.zeros((len(x), params[f"{k}.b"].size), x.dtype) for k in layers}
    _, d = value_and_grad(total)(zeros)  # by each sample's output of each layer
    squares = np.zeros(len(x), x.dtype)
    for k, a in zip(layers, inputs, strict=True):
        squares += ((a * a).sum(axis=1) + 1) * (d[k] * d[k]).sum(axis=1)
    factors = clip_factors(np.sqrt(squares), clip)[:, None]
    grads: Grads = {}
    for k, a in zip(layers, inputs, strict=True):
        clipped = factors * d[k]
        grads[f"{k}.W"], grads[f"{k}.b"] = matmul(a.T, clipped), clipped.sum(axis=0)
    return grads


def privatize(
    total: Grads, clip: float, noise: float, batch: float, rng: np.random.Generator
) -> Grads:
    """Return ``(total + N(0, (noise*clip)**2)) / batch``, the gradient of DP-SGD.

    Abadi et al. (2016), Algorithm 1. ``total`` is a `clipped_sum`, ``noise`` the
    multiplier that the accountant knows as sigma, and ``batch`` the *expected* size
    ``q*n``: the size that was drawn is a secret of the sample.

    Raises
    ------
    ValueError
        If ``clip``, ``noise`` or ``batch`` is not a finite number > 0.
    """
    clip = check_number("clip", clip, 0, math.inf, "()")
    noise = check_number("noise", noise, 0, math.inf, "()")
    batch = check_number("batch", batch, 0, math.inf, "()")
    scale = noise * clip
    return {
        k: (g + scale * rng.standard_normal(g.shape).astype(g.dtype)) / batch
        for k, g in total.items()
    }


def check_samples(x: Any, y: Any) -> None:
    """Refuse inputs and labels of different length."""
    if len(x) != len(y):
        raise ValueError(f"x and y differ in length: {len(x)} and {len(y)}")
