"""The backward pass: from a recorded loss to the gradient of every parameter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deepopt_lib.autodiff.tape import Tape, Var
from deepopt_lib.core.types import Grads, Params

__all__ = ["value_and_grad"]


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
    loss.grad = np.asarray(1, np.asarray(loss.value).dtype)
    for node in reversed(loss.tape):
        if node.grad is None:
            continue
        for parent, vjp in node.parents:
            g = vjp(node.grad)
            parent.grad = g if parent.grad is None else parent.grad + g
        if node.parents:
            node.grad = None  # frees the memory of inner nodes; leaves keep theirs
