"""Reverse-mode automatic differentiation on one small tape.

A *primitive* computes its output with NumPy and says, for each argument, how a change
of the output pulls back to that argument (the vector-Jacobian product, vjp). The tape
records which primitives ran; the backward pass walks it once, from the end
(Rumelhart, Hinton, Williams 1986; Baydin et al. 2018).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deepopt_lib.attention import self_attention
from deepopt_lib.checked import is_int
from deepopt_lib.convolution import conv2d, conv_layer
from deepopt_lib.gated import gru_layer, lstm_layer
from deepopt_lib.normalization import batch_norm, dropout, embedding, layer_norm
from deepopt_lib.pooling import avg_pool, max_pool
from deepopt_lib.primitives import (
    add,
    cross_entropy,
    div,
    exp,
    linear,
    log,
    log_softmax,
    matmul,
    mean,
    mul,
    neg,
    power,
    relu,
    reshape,
    sigmoid,
    sub,
    sum,
    take,
    tanh,
    transpose,
)
from deepopt_lib.recurrent import rnn_layer
from deepopt_lib.tape import PRIMITIVES, Tape, Var, primitive
from deepopt_lib.tree import global_norm
from deepopt_lib.types import Array, Grads, Params

__all__ = [
    "PRIMITIVES",
    "Var",
    "add",
    "avg_pool",
    "batch_norm",
    "check_grads",
    "conv2d",
    "conv_layer",
    "cross_entropy",
    "div",
    "dropout",
    "embedding",
    "exp",
    "gru_layer",
    "hvp",
    "layer_norm",
    "linear",
    "log",
    "log_softmax",
    "lstm_layer",
    "matmul",
    "max_pool",
    "mean",
    "mul",
    "neg",
    "power",
    "primitive",
    "relu",
    "reshape",
    "rnn_layer",
    "self_attention",
    "sigmoid",
    "sub",
    "sum",
    "take",
    "tanh",
    "top_eigenvalue",
    "transpose",
    "value_and_grad",
]


def value_and_grad(
    f: Callable[..., Any],
) -> Callable[..., tuple[float, Grads]]:
    """Return a function with ``f``'s arguments that returns (loss, gradients).

    ``f(params, *args)`` must return a scalar made of primitives. The gradients
    have the names, shapes and dtypes of ``params``; a parameter that ``f`` does not use
    gets zeros.

    Raises
    ------
    ValueError
        If ``f`` returns something other than one number.
    """

    def run(params: Params, *args: Any) -> tuple[float, Grads]:
        tape: Tape = []
        leaves = {k: Var(w, tape) for k, w in params.items()}
        loss = f(leaves, *args)
        value = loss.value if isinstance(loss, Var) else loss
        shape = np.shape(value)
        if shape != ():
            raise ValueError(f"the loss must be one number, got shape {shape}")
        if isinstance(loss, Var):
            _backward(loss)
        grads = _own(leaves)
        tape.clear()  # breaks the cycle tape-variable, so that memory is freed now
        return float(value), grads

    return run


def _own(leaves: dict[str, Var]) -> Grads:
    """Return the leaves' gradients as contiguous arrays of their own.

    A view is copied, and so is a cotangent that two leaves share.
    """
    grads: Grads = {}
    given: set[int] = set()
    for k, leaf in leaves.items():
        w, g = leaf.value, leaf.grad
        if g is None:
            g = np.zeros_like(w)
        elif type(g) is not np.ndarray or g.base is not None or id(g) in given:
            g = np.array(g, dtype=w.dtype, order="C", subok=True)
        given.add(id(g))
        grads[k] = g.astype(w.dtype, order="C", copy=False)
    return grads


def _backward(loss: Var) -> None:
    """Walk the tape from the end; a node's grad is complete when its turn comes."""
    loss.grad = np.ones_like(loss.value)
    for node in reversed(loss.tape):
        if node.grad is None:
            continue
        for parent, vjp in node.parents:
            g = vjp(node.grad)
            parent.grad = g if parent.grad is None else parent.grad + g
        if node.parents:
            node.grad = None  # frees the memory of inner nodes; leaves keep theirs


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
