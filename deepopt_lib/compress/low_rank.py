"""Low rank: a matrix as the product of two thin ones.

W (n_in, n_out) becomes U (n_in, r) and V (r, n_out), ``x @ W`` becomes ``x @ U @ V``:
``r*(n_in + n_out)`` numbers, and twice that many operations a row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from deepopt_lib.compress.codec import BaseCodec, check_layer
from deepopt_lib.core.checks import check_array, check_int, check_number
from deepopt_lib.core.products import matmul
from deepopt_lib.core.types import Array

__all__ = [
    "Factors",
    "LowRank",
    "activation_aware",
    "break_even",
    "randomized",
    "rank_for_energy",
    "tail",
    "truncated",
    "wide",
]


class Factors(NamedTuple):
    """Two thin matrices; their product is the approximation."""

    U: Array  # (n_in, r)
    V: Array  # (r, n_out)

    @property
    def product(self) -> Array:
        """The matrix that they stand for, (n_in, n_out)."""
        return matmul(wide(self.U), wide(self.V)).astype(self.U.dtype)


def truncated(W: Array, r: int) -> Factors:
    """Return the best factors of rank r (Eckart and Young 1936), by the full SVD.

    ``|W - U @ V|**2`` in the Frobenius norm is the sum of the squared singular values
    from r on, `tail`. The singular values are split evenly between U and V.

    Raises
    ------
    ValueError
        If ``r`` is not an int in [1, min(shape)], or W no finite matrix.
    """
    r = check_rank("r", r, W)
    return _halves(*np.linalg.svd(wide(W), full_matrices=False), r, W.dtype)


def randomized(
    W: Array, r: int, rng: np.random.Generator, extra: int = 10, power: int = 2
) -> Factors:
    """Return nearly the best factors of rank r from a few products with W.

    Halko, Martinsson, Tropp (2011), Algorithms 4.4 and 5.1: an orthonormal basis Q of
    ``(W @ W.T)**power @ W @ random``, with ``extra`` more columns than r, and the SVD
    of the small matrix ``Q.T @ W``. About ``4*(power+1)*n_in*n_out*(r+extra)``
    operations.

    Raises
    ------
    ValueError
        If ``r`` is not an int in [1, min(shape)], or ``extra`` or ``power`` are no
        ints >= 0.
    """
    r = check_rank("r", r, W)
    columns = min(r + check_int("extra", extra, 0), *W.shape)
    power, dtype, W = check_int("power", power, 0), W.dtype, wide(W)
    sketch = rng.standard_normal((W.shape[1], columns)).astype(W.dtype)
    Q = np.linalg.qr(matmul(W, sketch))[0]
    for _ in range(power):
        Q = np.linalg.qr(matmul(W.T, Q))[0]
        Q = np.linalg.qr(matmul(W, Q))[0]
    U, s, Vt = np.linalg.svd(matmul(Q.T, W), full_matrices=False)
    return _halves(matmul(Q, U), s, Vt, r, dtype)


def activation_aware(W: Array, x: Array, r: int, damp: float = 1e-6) -> Factors:
    """Return the factors of rank r with the least error in ``x @ W``, not in W.

    Wang et al. (2024), SVD-LLM: with ``C.T @ C = x.T @ x`` the error is
    ``|C @ (W - U @ V)|``, so that the SVD of ``C @ W`` is cut and C taken out again.
    x (samples, n_in) are inputs of the layer; ``damp`` of the mean diagonal is added
    to ``x.T @ x``, for where they do not span everything. C is the triangle of a QR
    decomposition of x in float64, which exists where Cholesky's breaks down.

    Raises
    ------
    ValueError
        If ``r`` is not an int in [1, min(shape)], x does not fit W or is zero
        everywhere, or ``damp`` is no number > 0, or too small for the dtype of W.
    """
    r = check_rank("r", r, W)
    check_layer(W, x)
    damp = check_number("damp", damp, 0, math.inf, "()")
    x = x.astype(np.float64)
    if not (mean := np.sum(x**2) / len(W)):
        raise ValueError("x is zero everywhere: it says nothing about the layer")
    damped = np.vstack([x, math.sqrt(damp * mean) * np.eye(len(W))])
    C = np.asarray(np.linalg.qr(damped, mode="r"))
    U, s, Vt = np.linalg.svd(matmul(C, W), full_matrices=False)
    U, V = _halves(U, s, Vt, r, C.dtype)
    with np.errstate(over="ignore"):
        left = np.linalg.solve(C, U).astype(W.dtype)
    return Factors(check_array(f"U in {W.dtype}", left), V.astype(W.dtype))


def tail(s: Array, r: int) -> float:
    """Return the squared error of the best matrix of rank r: ``sum(s[r:]**2)``."""
    return float(np.sum(s[r:] ** 2))


def rank_for_energy(W: Array, energy: float) -> int:
    """Return the smallest rank that keeps a share of the sum of squares.

    Raises
    ------
    ValueError
        If ``energy`` is not in (0, 1], or W no finite matrix.
    """
    check_array("W", W, ndim=2)
    energy = check_number("energy", energy, 0, 1, "(]")
    squares = np.linalg.svd(wide(W), compute_uv=False) ** 2
    kept = np.cumsum(squares) / max(
        float(np.sum(squares)), np.finfo(squares.dtype).tiny
    )
    enough = int(np.searchsorted(kept, energy - 1e-12))
    return min(enough + 1, len(squares))


def break_even(n_in: int, n_out: int) -> int:
    """Return the largest rank at which two factors are smaller than the matrix."""
    return (n_in * n_out - 1) // (n_in + n_out)


@dataclass(frozen=True)
class LowRank(BaseCodec):
    """Store a matrix by its `truncated` factors of rank ``r``.

    Raises
    ------
    ValueError
        If ``r`` is no int >= 1.
    """

    r: int

    def __post_init__(self) -> None:
        """Check the rank."""
        object.__setattr__(self, "r", check_int("LowRank.r", self.r))

    def encode(self, x: Array, /) -> Factors:
        """Return the factors of a matrix."""
        return truncated(x, self.r)

    def decode(self, code: Factors, /) -> Array:
        """Return their product."""
        return code.product


def check_rank(name: str, r: Any, W: Any) -> int:
    """Return a rank that the matrix W can have; refuse what is no matrix."""
    check_array("W", W, ndim=2)
    return check_int(f"{name}, a rank for shape {W.shape},", r, 1, min(W.shape))


def wide(W: Array) -> Array:
    """Return a matrix in a type that LAPACK knows: float16 becomes float32."""
    return W.astype(np.float32 if W.dtype.itemsize < 8 else np.float64)


def _halves(U: Array, s: Array, Vt: Array, r: int, dtype: Any) -> Factors:
    half = np.sqrt(s[:r])
    left, right = U[:, :r] * half, half[:, None] * Vt[:r]
    return Factors(left.astype(dtype), right.astype(dtype))
