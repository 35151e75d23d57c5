"""Second derivatives along a direction, from differences of gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deepopt_lib.autodiff.backward import check_params
from deepopt_lib.core.checks import check_int
from deepopt_lib.core.tree import global_norm, tree_map
from deepopt_lib.core.types import Grads, Params

__all__ = ["hvp", "top_eigenvalue"]


def hvp(grad: Callable[[Params], Grads], params: Params, v: Params) -> Params:
    """Return the Hessian times ``v``, by a central difference of the gradient.

    ``(grad(w + h*v) - grad(w - h*v)) / (2*h)``. For v of norm 1, rounding w costs
    about ``eps * |w|_inf / h`` and the curve ``h**2``; where they are equal,
    ``h = (eps * max(1, |w|_inf))**(1/3) / |v|``, with eps that of the parameters'
    dtype. About ten digits in float64, four in float32.

    Raises
    ------
    ValueError
        If ``v`` has other names than ``params``, or a parameter is no floating-point
        array.
    """
    check_params(params)
    norm = global_norm(v)
    if not norm:
        return tree_map(lambda w, x: np.zeros_like(w), params, v)
    eps = max(float(np.finfo(w.dtype).eps) for w in params.values())
    largest = max(float(np.max(np.abs(w), initial=1)) for w in params.values())
    h = (eps * largest) ** (1 / 3) / norm
    up = grad(tree_map(lambda w, x: w + h * x, params, v))
    down = grad(tree_map(lambda w, x: w - h * x, params, v))
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
        If ``v`` is zero or ``iterations`` is not an int >= 1, or as in `hvp`.
    """
    check_int("iterations", iterations)
    norm = global_norm(v)
    if not norm > 0:
        raise ValueError(f"v must not be zero, got a vector of norm {norm}")
    for _ in range(iterations):
        unit = {k: x / norm for k, x in v.items()}
        v = hvp(grad, params, unit)
        eigenvalue = float(np.sum([np.vdot(unit[k], v[k]) for k in v]))
        norm = global_norm(v) or 1.0
    return eigenvalue, {k: x / norm for k, x in v.items()}
