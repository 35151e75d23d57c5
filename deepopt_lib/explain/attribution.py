"""Attribution: which inputs a network's answer depends on, and by how much.

Each method takes a function ``f(x)`` of a batch (samples, n) that returns one score a
sample (samples,), made of the tape's primitives. No sample may depend on another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deepopt_lib.autodiff.backward import value_and_grad
from deepopt_lib.autodiff.ops.arrays import sum
from deepopt_lib.core.checks import check_array, check_int
from deepopt_lib.core.types import Array

__all__ = ["input_gradient", "integrated_gradients", "saliency"]

Score = Callable[[Any], Any]


def input_gradient(f: Score, x: Array) -> Array:
    """Return the derivative of each sample's score by its own inputs, (samples, n).

    Raises
    ------
    ValueError
        If x is no finite matrix, or ``f`` does not return one score a sample.
    """
    check_array("x", x, ndim=2)

    def total(leaves: Any) -> Any:
        scores = f(leaves["x"])
        shape = np.asarray(getattr(scores, "value", scores)).shape
        if shape != (len(x),):
            raise ValueError(f"f must return shape ({len(x)},), got {shape}")
        return sum(scores)

    return value_and_grad(total)({"x": x})[1]["x"]


def saliency(f: Score, x: Array) -> Array:
    """Return ``abs(df/dx)``: how fast the score changes with each input.

    Simonyan, Vedaldi, Zisserman (2014), section 3.1, for one channel. It ranks inputs
    and does not add up to anything.

    Raises
    ------
    ValueError
        As `input_gradient`.
    """
    out: Array = np.abs(input_gradient(f, x))
    return out


def integrated_gradients(
    f: Score, x: Array, baseline: Array | None = None, steps: int = 100
) -> Array:
    """Return each input's share of ``f(x) - f(baseline)``, (samples, n).

    ``(x - b) * integral of df/dx(b + s*(x - b)) over s from 0 to 1`` (Sundararajan,
    Taly, Yan 2017, eq. 1), by the midpoint rule. Their completeness axiom says that the
    shares of a sample add up to the difference of its scores; what is missing is the
    rule's error. ``baseline`` has x's shape or that of a sample; by default zeros.

    Raises
    ------
    ValueError
        If ``steps`` is not an int >= 1, x or ``baseline`` is not finite or has the
        wrong shape, or ``f`` does not return one score a sample.
    """
    check_array("x", x, ndim=2)
    check_int("steps", steps)
    b = np.zeros_like(x) if baseline is None else check_array("baseline", baseline)
    if b.shape not in (x.shape, x.shape[1:]):
        raise ValueError(f"baseline must have shape {x.shape[1:]}, got {b.shape}")
    mean = np.zeros_like(x)
    for i in range(steps):
        mean += input_gradient(f, b + (i + 0.5) / steps * (x - b)) / steps
    return (x - b) * mean
