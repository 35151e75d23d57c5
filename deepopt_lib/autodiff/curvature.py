"""Reverse-mode automatic differentiation on one small tape.

A *primitive* computes its output with NumPy and says, for each argument, how a change
of the output pulls back to that argument (the vector-Jacobian product, vjp). The tape
records which primitives ran; the backward pass walks it once, from the end
(Rumelhart, Hinton, Williams 1986; Baydin et al. 2018).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deepopt_lib.core.checks import is_int
from deepopt_lib.core.tree import global_norm
from deepopt_lib.core.types import Grads, Params

__all__ = ["hvp", "top_eigenvalue"]


def hvp(grad: Callable[[Params], Grads], params: Params, v: Params) -> Params:
    """Return the Hessian times ``v``, by a central difference of the gradient.

    ``(grad(w + h*v) - grad(w - h*v)) / (2*h)`` with ``h`` near the cube root of the
    rounding error, relative to the norm of ``v``: about ten digits in float64.
    """
    h = float(np.finfo(np.float64).eps) ** (1 / 3) / max(global_norm(v), 1e-30)
    up = grad({k: w + h * v[k] for k, w in params.items()})
    down = grad({k: w - h * v[k] for k, w in params.items()})
    return {k: (up[k] - down[k]) / (2 * h) for k in params}


def top_eigenvalue(
    grad: Callable[[Params], Grads], params: Params, v: Params, iterations: int
) -> tuple[float, Params]:
    """Return the Hessian's eigenvalue of largest size, by power iteration from ``v``.

    Also returns the vector reached, with norm 1: start the next call with it when the
    parameters have moved only a little. The eigenvalue is the Rayleigh quotient of the
    last iteration; on a loss it is the *sharpness* of Cohen et al. (2021).

    Raises
    ------
    ValueError
        If ``v`` is zero or ``iterations`` is not a positive int.
    """
    if not is_int(iterations) or iterations < 1:
        raise ValueError(f"iterations must be an int >= 1, got {iterations!r}")
    norm = global_norm(v)
    if not norm > 0:
        raise ValueError(f"v must not be zero, got a vector of norm {norm}")
    for _ in range(iterations):
        unit = {k: x / norm for k, x in v.items()}
        v = hvp(grad, params, unit)
        eigenvalue = float(np.sum([np.vdot(unit[k], v[k]) for k in v]))
        norm = max(global_norm(v), 1e-300)
    return eigenvalue, {k: x / norm for k, x in v.items()}
