"""The backward pass: from a recorded loss to the gradient of every parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from deepopt_lib.autodiff.tape import ONE_CALL, Tape, Var
from deepopt_lib.core.types import Grads, Params

__all__ = ["value_and_grad"]


def value_and_grad(
    f: Callable[..., Any],
) -> Callable[..., tuple[float, Grads]]:
    """Return a function with ``f``'s arguments that returns (loss, gradients).

    ``f(params, *args)`` must return a scalar made of primitives. The gradients
    have the names, shapes and dtypes of ``params``; a parameter that ``f`` does not use
    gets zeros. ``f`` may call `value_and_grad` itself, on values: what comes out of
    that is a constant, since there are no second derivatives here (but see `hvp`).

    Raises
    ------
    ValueError
        If a parameter is no floating-point array, ``f`` returns something other than
        one number, or a Var of another call gets into the loss.
    """

    def run(params: Params, *args: Any) -> tuple[float, Grads]:
        check_params(params)
        tape: Tape = []
        leaves = {k: Var(w, tape) for k, w in params.items()}
        try:
            loss = f(leaves, *args)
            value = loss.value if isinstance(loss, Var) else loss
            shape = np.shape(value)
            if shape != ():
                raise ValueError(f"the loss must be one number, got shape {shape}")
            if isinstance(loss, Var):
                if loss.tape is not tape:
                    raise ValueError(f"the loss is a Var of another call: {ONE_CALL}")
                _backward(loss)
            return float(value), _own(leaves)
        finally:
            tape.clear()  # closed; and memory is free, without waiting for the cycle

    return run


def check_params(params: Mapping[str, Any]) -> None:
    """Refuse what has no gradient: anything but floating-point arrays."""
    for k, w in params.items():
        dtype = getattr(w, "dtype", None)
        if dtype is not None and dtype.kind == "f":
            continue
        if isinstance(w, Var):
            raise ValueError(f"params[{k!r}] is a Var of another call: {ONE_CALL}")
        what = dtype or type(w).__name__
        raise ValueError(f"params[{k!r}] must be a floating-point array, got {what}")


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
        elif isinstance(g, np.generic):
            g = np.asarray(g)
        shared = g.base is not None or id(g) in given
        grads[k] = g.astype(w.dtype, order="C", copy=shared)
        given.add(id(g))
    return grads


def _backward(loss: Var) -> None:
    """Walk the tape from the end; a node's grad is complete when its turn comes.

    Cotangents are float32 at least: in float16, 2048 + 1 is 2048.
    """
    dtype = np.asarray(loss.value).dtype
    loss.grad = np.asarray(1, np.float32 if dtype.itemsize < 4 else dtype)
    for node in reversed(loss.tape):
        if node.grad is None:
            continue
        for parent, vjp in node.parents:
            g = vjp(node.grad)
            parent.grad = g if parent.grad is None else parent.grad + g
        if node.parents:
            node.grad = None  # frees the memory of inner nodes; leaves keep theirs
