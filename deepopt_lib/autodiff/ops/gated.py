"""Recurrent layers with gates, each one primitive over whole sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepopt_lib.autodiff.ops.recurrent import by_gate, project, pull_back
from deepopt_lib.autodiff.tape import Result, Shared, primitive
from deepopt_lib.core.products import matmul
from deepopt_lib.core.shapes import check_shapes

__all__ = ["gru_layer", "lstm_layer"]


@primitive
def lstm_layer(x: Any, W: Any, U: Any, b: Any) -> Result:
    """Run a long short-term memory: Hochreiter, Schmidhuber (1997), from h = c = 0.

    The variant with a forget gate (Gers et al. 2000) and without peepholes, the gates
    in PyTorch's order i, f, g, o: with ``z = x_t @ W + h_{t-1} @ U + b``,
    ``c_t = sigmoid(z_f) * c_{t-1} + sigmoid(z_i) * tanh(z_g)``,
    ``h_t = sigmoid(z_o) * tanh(c_t)``.

    x (batch, time, n_in), W (n_in, 4*n), U (n, 4*n), b (4*n,) -> all h, (batch, time,
    n). Keeps 7 numbers a unit and step for the backward pass.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    wanted = "x (batch, time, n_in), W (n_in, 4*n), U (n, 4*n), b (4*n,)"
    check_shapes("lstm_layer", wanted, x, W, U, b)
    batch, time, _ = x.shape
    n = len(U)
    # One tanh for all gates, sigmoid(z) = (1 + tanh(z/2))/2: the factor within is put
    # into the weights, the one without and the constant are added to all gates at once.
    half, rest = (
        np.array(v, W.dtype).reshape(4, 1, 1)
        for v in ((0.5, 0.5, 1, 0.5), (0.5, 0.5, 0, 0.5))
    )
    halved_U = by_gate(U, 4) * half
    # A step's gates lie side by side, so that all fit into the first cache; products of
    # one step at a time run there as well, faster than one of all steps.
    steps = x.transpose(1, 0, 2)[:, None]
    z = matmul(steps, by_gate(W, 4) * half)  # (time, gates, batch, n)
    z += b.reshape(4, 1, n) * half
    h, c = np.zeros((2, time + 1, batch, n), z.dtype)
    tanh_c = np.empty((time, batch, n), z.dtype)
    a = np.empty((4, batch, n), z.dtype)
    half, rest = (np.broadcast_to(v, a.shape).astype(z.dtype) for v in (half, rest))
    for t in range(time):
        matmul(h[t], halved_U, out=a)
        a += z[t]
        gates = np.tanh(a, out=z[t])  # which z becomes
        gates *= half
        gates += rest
        i, f, g, o = gates
        np.multiply(f, c[t], out=c[t + 1])
        c[t + 1] += i * g
        np.tanh(c[t + 1], out=tanh_c[t])
        np.multiply(o, tanh_c[t], out=h[t + 1])

    @Shared
    def pull_z(d: Any) -> Any:
        """Return the cotangent of z, by gate."""
        d = d.transpose(1, 0, 2)
        i, f, g, o = z.swapaxes(0, 1)
        dz = np.empty((4, time, batch, n), z.dtype)  # first, all factors but dc and dh
        work = np.empty_like(tanh_c)  # used again and again, it stays in the cache
        new, out = i * g, h[1:]
        np.subtract(new, np.multiply(i, new, out=work), out=dz[0])  # sigmoid' = s - s*s
        np.subtract(i, np.multiply(g, new, out=work), out=dz[2])  # tanh' = 1 - tanh**2
        kept = np.multiply(f, c[:-1], out=new)
        np.subtract(kept, np.multiply(f, kept, out=work), out=dz[1])
        np.subtract(out, np.multiply(o, out, out=work), out=dz[3])
        to_c = np.subtract(o, np.multiply(out, tanh_c, out=work), out=work)
        U4_T = np.ascontiguousarray(by_gate(U, 4).swapaxes(1, 2))
        dh, dc = np.zeros((2, batch, n), z.dtype)
        for t in reversed(range(time)):
            dh += d[t]
            dc += dh * to_c[t]
            dz[:3, t] *= dc
            dz[3, t] *= dh
            dc *= f[t]
            np.add.reduce(matmul(dz[:, t], U4_T), axis=0, out=dh)
        return dz

    return h[1:].transpose(1, 0, 2), pull_back(pull_z, x, W, h)


@primitive
def gru_layer(x: Any, W: Any, U: Any, b: Any, b_new: Any) -> Result:
    """Run a gated recurrent unit: Cho et al. (2014), eqs. 5 to 8, from h = 0.

    The variant of the paper's first arXiv version, of cuDNN and of PyTorch: the reset
    gate acts after the product with U. The gates in the order r (reset), u (update), n
    (new): with ``z = x_t @ W + b`` and ``a = h_{t-1} @ U``,
    ``r = sigmoid(z_r + a_r)``, ``u = sigmoid(z_u + a_u)``,
    ``new = tanh(z_n + r * (a_n + b_new))``, ``h_t = u * h_{t-1} + (1 - u) * new``.

    x (batch, time, n_in), W (n_in, 3*n), U (n, 3*n), b (3*n,), b_new (n,) -> all h,
    (batch, time, n). Keeps 5 numbers a unit and step for the backward pass.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    wanted = "x (batch, time, n_in), W (n_in, 3*n), U (n, 3*n), b (3*n,), b_new (n,)"
    check_shapes("gru_layer", wanted, x, W, U, b, b_new)
    batch, time, _ = x.shape
    n = len(U)
    scale = np.array([-1, -1, 1], W.dtype).reshape(3, 1, 1)  # sigmoid(z)=1/(1+exp(-z))
    z = project(x, by_gate(W, 3) * scale, b.reshape(3, 1, n) * scale)
    gates, new = z[:2], z[2]  # which they become
    U3 = by_gate(U, 3)
    scaled_U = U3 * scale
    h = np.zeros((time + 1, batch, n), z.dtype)
    inner = np.empty((time, batch, n), z.dtype)  # what r multiplies
    a = np.empty((3, batch, n), z.dtype)
    with np.errstate(over="ignore"):  # exp(-z) = inf gives the right sigmoid, 0
        for t in range(time):
            matmul(h[t], scaled_U, out=a)
            e = a[:2]
            e += gates[:, t]
            np.exp(e, out=e)
            e += 1
            r, u = np.reciprocal(e, out=gates[:, t])
            np.add(a[2], b_new, out=inner[t])
            new[t] += r * inner[t]
            np.tanh(new[t], out=new[t])
            np.subtract(h[t], new[t], out=h[t + 1])
            h[t + 1] *= u
            h[t + 1] += new[t]

    @Shared
    def pull_all(d: Any) -> Any:
        """Return the cotangents of a_n, z_r = a_r, z_u = a_u and z_n."""
        d = d.transpose(1, 0, 2)
        r, u = gates
        dz = np.empty((4, time, batch, n), z.dtype)  # first, all factors but dh
        np.multiply(1 - new * new, 1 - u, out=dz[3])
        np.multiply(dz[3], r, out=dz[0])
        np.multiply(r - r * r, dz[3] * inner, out=dz[1])
        np.multiply(u - u * u, h[:-1] - new, out=dz[2])
        U_nru_T = np.roll(U3, 1, axis=0).swapaxes(1, 2).copy()
        dh = np.zeros((batch, n), z.dtype)
        for t in reversed(range(time)):
            dh += d[t]
            dz[:, t] *= dh
            dh *= u[t]
            dh += np.add.reduce(matmul(dz[:3, t], U_nru_T), axis=0)
        return dz

    pull_x, pull_W, _, pull_b = pull_back(lambda d: pull_all(d)[1:], x, W, h)
    pull_U_nru = pull_back(lambda d: pull_all(d)[:3], x, W, h)[2]
    return h[1:].transpose(1, 0, 2), (
        pull_x,
        pull_W,
        lambda d: np.roll(pull_U_nru(d), -n, axis=1),
        pull_b,
        lambda d: np.add.reduce(pull_all(d)[0], axis=(0, 1)),
    )
