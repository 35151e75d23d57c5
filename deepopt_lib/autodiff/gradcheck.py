"""Gradients checked against central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deepopt_lib.autodiff.backward import value_and_grad
from deepopt_lib.autodiff.ops.arrays import sum
from deepopt_lib.core.types import Array, Params

__all__ = ["check_grads"]


def check_grads(f: Callable[..., Any], *args: Array, tol: float = 1e-6) -> None:
    """Compare the vjps of ``f`` at float64 arrays ``args`` with central differences.

    The output is projected on a fixed random direction, so that one pass checks every
    argument.

    Raises
    ------
    ValueError
        If an argument is not float64, or a gradient is off by more than ``tol``,
        absolute or relative to its largest entry.
    """
    for i, a in enumerate(args):
        if np.asarray(a).dtype != np.float64:
            raise ValueError(f"argument {i} must be a float64 array, got {a!r}")
    params = {str(i): a for i, a in enumerate(args)}
    out = np.asarray(f(*args))
    direction = np.random.default_rng(0).standard_normal(out.shape)

    def projected(p: Params) -> Any:
        return sum(f(*p.values()) * direction)

    _, grads = value_and_grad(projected)(params)
    for i, a in enumerate(args):
        numeric = np.zeros_like(a)
        for j in np.ndindex(a.shape):
            h = 6e-6 * max(1.0, abs(float(a[j])))
            ends = []
            for shift in (h, -h):
                moved = a.copy()
                moved[j] += shift
                ends.append(float(projected({**params, str(i): moved})))
            numeric[j] = (ends[0] - ends[1]) / (2 * h)
        error = np.max(np.abs(grads[str(i)] - numeric), initial=0.0)
        scale = max(1.0, float(np.max(np.abs(numeric), initial=0.0)))
        if not error <= tol * scale:
            raise ValueError(f"gradient of argument {i} is off by {error:.2e}")
