"""Low rank: a matrix as the product of two thin ones.

W (n_in, n_out) becomes U (n_in, r) and V (r, n_out), ``x @ W`` becomes ``x @ U @ V``:
``r*(n_in + n_out)`` numbers, and twice that many operations a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from deepopt_lib.autodiff.ops.arithmetic import relu
from deepopt_lib.compress.codec import Coder, check_layer
from deepopt_lib.core.checks import check_array, is_int, is_number
from deepopt_lib.core.tree import nbytes
from deepopt_lib.core.types import Array

__all__ = [
    "Factors",
    "LowRank",
    "activation_aware",
    "break_even",
    "factored_mlp",
    "randomized",
    "rank_for_energy",
    "tail",
    "truncated",
]


class Factors(NamedTuple):
    """Two thin matrices; their product is the approximation."""

    U: Array  # (n_in, r)
    V: Array  # (r, n_out)

    @property
    def nbytes(self) -> int:
        """Bytes of both."""
        return nbytes(tuple(self))

    @property
    def product(self) -> Array:
        """The matrix that they stand for, (n_in, n_out)."""
        return self.U @ self.V


def truncated(W: Array, r: int) -> Factors:
    """Return the best factors of rank r (Eckart and Young 1936), by the full SVD.

    ``|W - U @ V|**2`` in the Frobenius norm is the sum of the squared singular values
    from r on, `tail`. The singular values are split evenly between U and V.

    Raises
    ------
    ValueError
        If ``r`` is not an int in [1, min(shape)], or W no finite matrix.
    """
    check_rank(W, r)
    return _halves(*np.linalg.svd(W, full_matrices=False), r)


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
    check_rank(W, r)
    if not all(is_int(k) and k >= 0 for k in (extra, power)):
        raise ValueError(f"extra and power must be ints >= 0, got {extra!r}, {power!r}")
    columns = min(r + extra, *W.shape)
    sketch = rng.standard_normal((W.shape[1], columns)).astype(W.dtype)
    Q = np.linalg.qr(W @ sketch)[0]
    for _ in range(power):
        Q = np.linalg.qr(W.T @ Q)[0]
        Q = np.linalg.qr(W @ Q)[0]
    U, s, Vt = np.linalg.svd(Q.T @ W, full_matrices=False)
    return _halves(Q @ U, s, Vt, r)


def activation_aware(W: Array, x: Array, r: int, damp: float = 1e-6) -> Factors:
    """Return the factors of rank r with the least error in ``x @ W``, not in W.

    Wang et al. (2024), SVD-LLM: with ``C.T @ C = x.T @ x`` the error is
    ``|C @ (W - U @ V)|``, so that the SVD of ``C @ W`` is cut and C taken out again.
    x (samples, n_in) are inputs of the layer; ``damp`` of the mean diagonal is added
    where they do not span everything.

    Raises
    ------
    ValueError
        If ``r`` is not an int in [1, min(shape)], or x does not fit W.
    """
    check_rank(W, r)
    check_layer(W, x)
    gram = x.T @ x
    gram = gram + damp * np.mean(np.diag(gram)) * np.eye(len(W), dtype=W.dtype)
    C = np.linalg.cholesky(gram).T  # upper triangular
    U, V = _halves(*np.linalg.svd(C @ W, full_matrices=False), r)
    return Factors(np.linalg.solve(C, U), V)


def tail(s: Array, r: int) -> float:
    """Return the squared error of the best matrix of rank r: ``sum(s[r:]**2)``."""
    return float(np.sum(s[r:] ** 2))


def rank_for_energy(W: Array, energy: float) -> int:
    """Return the smallest rank that keeps a share of the sum of squares, in (0, 1]."""
    check_array("W", W, ndim=2)
    if not (is_number(energy) and 0 < energy <= 1):
        raise ValueError(f"energy must be in (0, 1], got {energy!r}")
    squares = np.linalg.svd(W, compute_uv=False) ** 2
    kept = np.cumsum(squares) / max(float(np.sum(squares)), np.finfo(W.dtype).tiny)
    enough = int(np.searchsorted(kept, energy - 1e-12))
    return min(enough + 1, len(squares))


def break_even(n_in: int, n_out: int) -> int:
    """Return the largest rank at which two factors are smaller than the matrix."""
    return (n_in * n_out - 1) // (n_in + n_out)


@dataclass(frozen=True)
class LowRank(Coder):
    """Store a matrix by its `truncated` factors of rank ``r``."""

    r: int

    def __post_init__(self) -> None:
        """Check the rank."""
        if not is_int(self.r) or self.r < 1:
            raise ValueError(f"LowRank.r must be an int >= 1, got {self.r!r}")

    def encode(self, x: Array, /) -> Factors:
        """Return the factors of a matrix."""
        return truncated(x, self.r)

    def decode(self, code: Factors, /) -> Array:
        """Return their product."""
        return code.product


def factored_mlp(params: Any, x: Any, activation: Callable[[Any], Any] = relu) -> Any:
    """Return the logits of an MLP in which a layer may have ``U`` and ``V`` for ``W``.

    ``"layer1.U"`` (n_in, r), ``"layer1.V"`` (r, n_out), ``"layer1.b"``; ``activation``
    follows every layer but the last. Works on arrays and on the tape.
    """
    depth = sum(k.endswith(".b") for k in params)
    for i in range(1, depth + 1):
        if f"layer{i}.U" in params:
            x = x @ params[f"layer{i}.U"] @ params[f"layer{i}.V"]
        else:
            x = x @ params[f"layer{i}.W"]
        x = x + params[f"layer{i}.b"]
        if i < depth:
            x = activation(x)
    return x


def check_rank(W: Array, r: int) -> None:
    """Refuse a rank that a matrix cannot have, and what is no matrix."""
    check_array("W", W, ndim=2)
    if not is_int(r) or not 1 <= r <= min(W.shape):
        raise ValueError(
            f"rank must be an int in [1, {min(W.shape)}] for shape {W.shape}, got {r!r}"
        )


def _halves(U: Array, s: Array, Vt: Array, r: int) -> Factors:
    half = np.sqrt(s[:r])
    return Factors(U[:, :r] * half, half[:, None] * Vt[:r])
