"""Arithmetic, elementwise functions, and products of matrices.

In every docstring ``d`` is the cotangent of the output: the derivative of the loss with
respect to it, of the output's shape.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deepopt_lib.autodiff.tape import Result, primitive
from deepopt_lib.core.checks import check_number
from deepopt_lib.core.products import matmul as product
from deepopt_lib.core.shapes import check_shapes

__all__ = [
    "add",
    "div",
    "exp",
    "linear",
    "log",
    "matmul",
    "mul",
    "neg",
    "power",
    "relu",
    "sigmoid",
    "sub",
    "tanh",
]


def _unbroadcast(d: Any, like: Any) -> Any:
    """Sum ``d`` over the axes along which ``like`` was broadcast."""
    shape = np.shape(like)
    if np.shape(d) == shape:
        return d
    d = np.sum(d, axis=tuple(range(np.ndim(d) - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and d.shape[i] != 1)
    return np.sum(d, axis=stretched, keepdims=True)


@primitive
def add(a: Any, b: Any) -> Result:
    """Compute ``a + b``."""
    return a + b, (lambda d: _unbroadcast(d, a), lambda d: _unbroadcast(d, b))


@primitive
def sub(a: Any, b: Any) -> Result:
    """Compute ``a - b``."""
    return a - b, (lambda d: _unbroadcast(d, a), lambda d: _unbroadcast(-d, b))


@primitive
def mul(a: Any, b: Any) -> Result:
    """Compute ``a * b``, elementwise."""
    return a * b, (lambda d: _unbroadcast(d * b, a), lambda d: _unbroadcast(d * a, b))


@primitive
def div(a: Any, b: Any) -> Result:
    """Compute ``a / b``, elementwise."""
    out = a / b
    return out, (
        lambda d: _unbroadcast(d / b, a),
        lambda d: _unbroadcast(-d * out / b, b),
    )


@primitive
def neg(a: Any) -> Result:
    """Compute ``-a``."""
    return -a, (lambda d: -d,)


@primitive
def power(a: Any, exponent: float) -> Result:
    """Compute ``a ** exponent``, elementwise; the derivative of ``a ** 0`` is 0.

    Raises
    ------
    ValueError
        If ``exponent`` is not one finite number: it has no derivative.
    """
    exponent = check_number("exponent", exponent)

    def pull(d: Any) -> Any:
        if exponent == 0:  # 0 * 0**-1 would be NaN
            return np.zeros_like(d)
        return d * exponent * a ** (exponent - 1)

    return a**exponent, (pull, None)


@primitive
def exp(a: Any) -> Result:
    """Compute ``e ** a``."""
    out = np.exp(a)
    return out, (lambda d: d * out,)


@primitive
def log(a: Any) -> Result:
    """Natural logarithm."""
    return np.log(a), (lambda d: d / a,)


@primitive
def tanh(a: Any) -> Result:
    """Hyperbolic tangent; derivative ``1 - tanh(a)**2``."""
    out = np.tanh(a)
    return out, (lambda d: d * (1 - out * out),)


@primitive
def sigmoid(a: Any) -> Result:
    """Compute ``1 / (1 + exp(-a))``, written with tanh so that it cannot overflow."""
    out = 0.5 * (1 + np.tanh(0.5 * a))
    return out, (lambda d: d * out * (1 - out),)


@primitive
def relu(a: Any) -> Result:
    """Compute ``max(a, 0)``; the derivative at 0 is taken as 0."""
    a = np.asanyarray(a)
    zeros = np.zeros(a.shape[-1:], a.dtype)  # a row of them is faster than one
    out = np.maximum(a, zeros)
    return out, (lambda d: d * (out > 0),)


@primitive
def matmul(a: Any, b: Any) -> Result:
    """Compute ``a @ b`` of matrices (or stacks of them with equal leading axes).

    a (..., m, k), b (..., k, n) -> (..., m, n).

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    check_shapes("matmul", "a (..., m, k), b (..., k, n)", a, b)
    if a.shape[:-2] != b.shape[:-2]:
        raise ValueError(
            f"matmul needs equal leading axes, got shapes {a.shape} and {b.shape}"
        )
    return product(a, b), (
        lambda d: product(d, np.swapaxes(b, -1, -2)),
        lambda d: product(np.swapaxes(a, -1, -2), d),
    )


@primitive
def linear(x: Any, W: Any, b: Any) -> Result:
    """Compute ``x @ W + b``: (batch, n_in), (n_in, n_out), (n_out,).

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    check_shapes("linear", "x (batch, n_in), W (n_in, n_out), b (n_out,)", x, W, b)
    out = product(x, W)
    out += b
    return out, (
        lambda d: product(d, W.T),
        lambda d: product(x.T, d),
        lambda d: np.add.reduce(d, axis=0),
    )
