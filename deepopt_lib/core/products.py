"""Matrix products that warn of what their numbers do, and of nothing else.

A kernel of BLAS may raise flags of the processor that no number of the product has
earned: OpenBLAS with AVX-512 computes beyond the last column too, and throws that away;
Apple's Accelerate does the like. ``np.matmul``, which ``@`` is, turns a flag into a
warning or an error; so do ``np.dot`` and ``np.linalg.norm``. ``np.vdot``, the
decompositions of ``np.linalg`` and the products of ``scipy.sparse`` read none.
"""

from __future__ import annotations

import numpy as np

from deepopt_lib.core.types import Array

__all__ = ["matmul", "norm"]


def matmul(a: Array, b: Array, out: Array | None = None) -> Array:
    """Return ``a @ b``, and warn of an overflow or of a new NaN as NumPy does.

    That takes both a flag and a result that is not finite; whether it is a warning, an
    error or nothing is up to ``np.errstate``, as always. An underflow is never
    reported: nothing tells one that is from one that is not.

    a (..., m, k), b (..., k, n) -> (..., m, n), or vectors, as in NumPy. ``out``, where
    the product is written, shares no memory with a or b.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    FloatingPointError
        If the product overflows or makes a NaN, and the error state is "raise".
    """
    flags: dict[str, int] = {}
    with np.errstate(all="call", call=flags.setdefault):
        product: Array = np.matmul(a, b, out=out)
    if flags and not np.isfinite(np.asarray(product)).all():
        _report(np.asarray(a), np.asarray(b))
    return product


def norm(x: Array) -> float:
    """Return the square root of the sum of all squares, as ``np.linalg.norm`` does."""
    flat = x.ravel(order="K")
    return float(np.sqrt(matmul(flat, flat)))


def _report(a: Array, b: Array) -> None:
    """Repeat a product under the caller's error state, less what it has not earned.

    It overflows if its finite numbers alone do; it is invalid if there is a NaN though
    none came in.
    """
    finite = (np.where(np.isfinite(x), x, 0) for x in (a, b))
    no_nan = (np.where(np.isnan(x), 1, x) for x in (a, b))
    with np.errstate(all="ignore"):
        over = not np.isfinite(np.matmul(*finite)).all()
        invalid = np.isnan(np.matmul(*no_nan)).any()
    with np.errstate(
        divide="ignore",
        over=None if over else "ignore",
        under="ignore",
        invalid=None if invalid else "ignore",
    ):
        np.matmul(a, b)
