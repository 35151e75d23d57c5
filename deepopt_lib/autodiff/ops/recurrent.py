"""Recurrent layers: what they share, and the simplest one.

A layer is one primitive over whole sequences (batch, time, n_in). Inside, everything is
(gates, time, batch, n), so that each gate is a contiguous block: what the inputs
contribute is a product for all steps, and a step is a product with the recurrent
weights. Whatever does not need the step before is computed for all steps at once, so
that the loop of back-propagation through time is left with that product and a few
multiplications.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deepopt_lib.autodiff.tape import Result, Shared, Vjp, primitive
from deepopt_lib.core.products import matmul
from deepopt_lib.core.shapes import check_shapes

__all__ = ["by_gate", "project", "pull_back", "rnn_layer"]


def _time_major(x: Any) -> Any:
    """Lay sequences out by time: (batch, time, n) -> (time*batch, n)."""
    batch, time, n = x.shape
    return x.transpose(1, 0, 2).reshape(time * batch, n)


def by_gate(W: Any, gates: int) -> Any:
    """Give each gate a block of its own: (rows, gates*n) -> (gates, rows, n)."""
    rows, n = len(W), W.shape[1] // gates
    return np.ascontiguousarray(W.reshape(rows, gates, n).swapaxes(0, 1))


def _side_by_side(blocks: Any) -> Any:
    """Undo `by_gate`."""
    gates, rows, n = blocks.shape
    return blocks.swapaxes(0, 1).reshape(rows, gates * n)


def project(x: Any, W: Any, b: Any) -> Any:
    """Return ``x_t @ W + b`` for all t, W and b by gate: (gates, time, batch, n)."""
    gates, _, n = W.shape
    z = matmul(_time_major(x), W)
    z += b.reshape(gates, 1, n)
    return z.reshape(gates, x.shape[1], x.shape[0], n)


def pull_back(pull_z: Vjp, x: Any, W: Any, h: Any) -> tuple[Vjp, Vjp, Vjp, Vjp]:
    """Return the vjps of ``z_t = x_t @ W + h_{t-1} @ U + b`` from the cotangent of z.

    ``pull_z`` returns it by gate; h is (time + 1, batch, n), and W the argument itself.
    """
    batch, time, n_in = x.shape
    before = h[:-1].reshape(time * batch, h.shape[2])

    def pull(d: Any) -> Any:
        dz = pull_z(d)
        return dz.reshape(len(dz), time * batch, dz.shape[3])

    def pull_x(d: Any) -> Any:
        dz = pull(d)
        parts = matmul(dz, by_gate(W, len(dz)).swapaxes(1, 2))
        dx = np.add.reduce(parts, axis=0)
        return dx.reshape(time, batch, n_in).transpose(1, 0, 2)

    return (
        pull_x,
        lambda d: _side_by_side(matmul(_time_major(x).T, pull(d))),
        lambda d: _side_by_side(matmul(before.T, pull(d))),
        lambda d: np.add.reduce(pull(d), axis=1).reshape(-1),
    )


@primitive
def rnn_layer(x: Any, W: Any, U: Any, b: Any) -> Result:
    """Run a simple recurrent layer: Elman (1990), with tanh, from h = 0.

    ``h_t = tanh(x_t @ W + h_{t-1} @ U + b)``.
    x (batch, time, n_in), W (n_in, n), U (n, n), b (n,) -> all h, (batch, time, n).

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    wanted = "x (batch, time, n_in), W (n_in, n), U (n, n), b (n,)"
    check_shapes("rnn_layer", wanted, x, W, U, b)
    batch, time, _ = x.shape
    n = len(U)
    (z,) = project(x, W[None], b)  # (time, batch, n)
    h = np.zeros((time + 1, batch, n), z.dtype)
    for t in range(time):
        z[t] += matmul(h[t], U)
        np.tanh(z[t], out=h[t + 1])

    @Shared
    def pull_z(d: Any) -> Any:
        d = d.transpose(1, 0, 2)
        dz = 1 - h[1:] * h[1:]  # tanh'; each step multiplies its part by dh
        dh = np.zeros((batch, n), z.dtype)
        for t in reversed(range(time)):
            dh += d[t]
            dz[t] *= dh
            matmul(dz[t], U.T, out=dh)
        return dz[None]

    return h[1:].transpose(1, 0, 2), pull_back(pull_z, x, W, h)
