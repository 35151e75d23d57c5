"""The optimal brain surgeon and its heirs: remove or round, and let the rest make up.

A layer ``x @ W`` with calibration inputs x (samples, n_in) and W (n_in, n_out). All
minimize the squared error of its output, ``sum((x @ W - x @ Z)**2)``, whose Hessian is
the same for every output: ``H = 2 * x.T @ x``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from deepopt_lib.compress.codec import check_layer
from deepopt_lib.compress.nm import check_nm
from deepopt_lib.compress.prune import top_share
from deepopt_lib.compress.quantization.affine import Affine, AffineCode
from deepopt_lib.core.checks import check_array, check_int, check_number
from deepopt_lib.core.products import matmul
from deepopt_lib.core.types import Array

__all__ = ["gptq", "hessian", "obs", "output_error", "sparsegpt"]

DAMP = 0.01  # of the mean of the diagonal, as in both papers


def hessian(x: Array, damp: float = DAMP) -> Array:
    """Return ``2/samples * x.T @ x``, (n_in, n_in), with ``damp`` of its mean diagonal.

    The damping makes it invertible where an input is constant or never used. A factor
    of H changes no result. In float64 for every x.

    Raises
    ------
    ValueError
        If x is no finite matrix or all of it is zero, or ``damp`` is no number > 0.
    """
    check_array("x", x, ndim=2)
    damp = check_number("damp", damp, 0, math.inf, "()")
    x = x.astype(np.float64)
    H = matmul(2 / len(x) * x.T, x)
    mean = np.mean(np.diag(H))
    if not mean > 0:
        raise ValueError("x is zero everywhere: it says nothing about the layer")
    return H + damp * mean * np.eye(len(H))


def output_error(W: Array, Z: Array, x: Array) -> float:
    """Return ``|x @ (W - Z)|**2 / |x @ W|**2``: what all methods of this page lower.

    Raises
    ------
    ValueError
        If shapes do not fit, or the layer's output is zero everywhere.
    """
    check_layer(W, x)
    if np.shape(Z) != W.shape:
        raise ValueError(f"Z must be {W.shape}, got {np.shape(Z)}")
    if not (whole := np.sum(matmul(x, W) ** 2)):
        raise ValueError("x @ W is zero everywhere: no error is relative to it")
    return float(np.sum(matmul(x, W - Z) ** 2) / whole)


def obs(W: Array, x: Array, sparsity: float, damp: float = DAMP) -> Array:
    """Prune by the optimal brain surgeon (Hassibi and Stork 1993), output by output.

    Remove the entry with the smallest ``w[q]**2 / inv(H)[q, q]`` (eq. 5), move the
    others by ``-w[q] / inv(H)[q, q] * inv(H)[:, q]``, take q out of H, repeat: exact
    for one entry at a time, ``n_in**3`` operations an output (Frantar and Alistarh
    2022). Returns the new W, with ``round(n_in * (1 - sparsity))`` entries an output.

    Raises
    ------
    ValueError
        If shapes, ``sparsity`` or ``damp`` do not fit.
    """
    check_layer(W, x)
    check_number("sparsity", sparsity, 0, 1)
    start = np.linalg.inv(hessian(x, damp))
    gone = len(W) - round(len(W) * (1 - sparsity))
    out = W.copy()
    for w in out.T:  # views: one output each
        inverse, alive = start.copy(), np.ones(len(w), np.bool_)
        for _ in range(gone):
            diagonal = np.where(alive, np.diag(inverse), 1)
            q = int(np.argmin(np.where(alive, w**2 / diagonal, np.inf)))
            column = inverse[:, q] / diagonal[q]
            w -= w[q] * column
            inverse -= np.outer(column, inverse[q])  # of H without q
            alive[q] = False
            w[~alive] = 0  # and not nearly
    return out


def sparsegpt(
    W: Array,
    x: Array,
    sparsity: float = 0.5,
    *,
    nm: tuple[int, int] | None = None,
    block: int = 128,
    damp: float = DAMP,
) -> Array:
    """Prune by SparseGPT (Frantar and Alistarh 2023, Algorithm 1); returns the new W.

    One sweep over the inputs: what is lost at an input is made up by those that come
    later. The entries to go are chosen for ``block`` inputs at a time, over all
    outputs, by the score of OBS; with ``nm = (n, m)`` n of every m stay.

    Raises
    ------
    ValueError
        If shapes, ``sparsity``, ``nm`` or ``block`` do not fit.
    """
    check_layer(W, x)
    check_number("sparsity", sparsity, 0, 1)
    block = check_int("block", block)
    if nm is not None:
        n, block = check_nm("nm", *nm, len(W))
        sparsity = 1 - n / block
    root = _root(x, damp)
    spread = np.diag(root)[:, None]  # (n_in, 1)
    keep = np.ones(W.shape, np.bool_)

    def choose(i: int, rows: Array) -> Array:
        if i % block == 0:
            here = slice(i, i + block)
            score = (rows[:block] / spread[here]) ** 2
            keep[here] = top_share(score, sparsity, axis=None if nm is None else 0)
        new: Array = rows[0] * keep[i]
        return new

    return _sweep(W, root, choose)


def gptq(W: Array, x: Array, codec: Affine, damp: float = DAMP) -> AffineCode:
    """Quantize by GPTQ (Frantar et al. 2023, Algorithm 1); returns the codec's code.

    The grid is that of the whole W, one scale in all or for each output (``axis=1``).
    Inputs are rounded one after the other; the error of each is made up by those that
    are not yet rounded.

    Raises
    ------
    ValueError
        If shapes do not fit, or the codec has blocks or a scale for each input.
    """
    check_layer(W, x)
    if not isinstance(codec, Affine):
        raise ValueError(f"codec must be an Affine, got {codec!r}")
    if codec.block is not None or codec.axis not in (None, 1, -1):
        raise ValueError(f"gptq needs a scale in all or for each output, got {codec}")
    grid = codec.fit(W)

    def choose(i: int, rows: Array) -> Array:
        line = rows[0].reshape(len(grid.scale), -1)
        return grid.values(grid.codes(line)).reshape(-1)

    return codec.encode(_sweep(W, _root(x, damp), choose), grid)


def _root(x: Array, damp: float) -> Array:
    """Return the upper triangular R with ``inv(H) = R.T @ R``."""
    root: Array = np.linalg.cholesky(np.linalg.inv(hessian(x, damp))).T
    return root


def _sweep(W: Array, root: Array, choose: Callable[[int, Array], Array]) -> Array:
    """Replace row after row by ``choose(i, rows from i on)``, and make up for it."""
    out = W.copy()
    for i in range(len(out)):
        new = choose(i, out[i:])
        error = (out[i] - new) / root[i, i]
        out[i:] -= np.outer(root[i, i:], error)
        out[i] = new  # and not nearly
    return out
