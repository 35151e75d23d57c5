"""Matrix products that warn of what their numbers do, and of nothing else.

A kernel of BLAS may raise flags of the processor that no number of the product has
earned: OpenBLAS with AVX-512 computes beyond the last column too, and throws that away;
Apple's Accelerate does the like. ``np.matmul``, which ``@`` is, turns a flag into a
warning or an error; so do ``np.dot`` and ``np.linalg.norm``. ``np.vdot``, the
decompositions of ``np.linalg`` and the products of ``scipy.sparse`` read none.
"""

from __future__ import annotations

import contextvars
import threading

import numpy as np

from deepopt_lib.core.types import Array

__all__ = ["matmul", "norm"]


class _Watch(threading.local):
    """What a product raises, written down: one for each thread.

    NumPy's error state belongs to a context, and to enter one that has the state
    already takes a fifth of the time of ``np.errstate``, which makes a state at each
    call: a small product spent a third of its time there.

    Attributes
    ----------
    flags : dict
        The kinds of error of the products so far; whoever reads it clears it.
    run : callable
        ``run(f, *args)`` is ``f(*args)`` in that context.
    """

    def __init__(self) -> None:
        self.flags: dict[str, int] = {}
        context = contextvars.Context()
        context.run(np.seterr, all="call")
        context.run(np.seterrcall, self.flags.setdefault)
        self.run = context.run


_watch = _Watch()


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
    product: Array = _watch.run(np.matmul, a, b, out=out)
    if _watch.flags:
        _watch.flags.clear()
        if not np.isfinite(np.asarray(product)).all():
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
