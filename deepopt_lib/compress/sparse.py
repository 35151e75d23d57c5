"""Sparse matrices: what each format stores, when it pays, and a layer that uses it.

The formats are those of ``scipy.sparse``. Weights are (n_in, n_out), as everywhere.
"""

from __future__ import annotations

import operator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from deepopt_lib.autodiff.tape import Result, primitive
from deepopt_lib.compress.codec import check_block
from deepopt_lib.core.checks import check_array
from deepopt_lib.core.products import matmul
from deepopt_lib.core.timing import least_seconds
from deepopt_lib.core.types import Array

__all__ = [
    "FORMATS",
    "Choice",
    "fastest",
    "smallest",
    "sparse_linear",
    "storage",
    "to_format",
]

FORMATS = ("dense", "CSR", "CSC", "COO", "BSR")
"""What `to_format` makes of a matrix."""


def to_format(W: Array, name: str, *, block: tuple[int, int] = (4, 4)) -> Any:
    """Return a matrix in one of `FORMATS`, as an array of NumPy or SciPy.

    Entries equal to zero are left out, in BSR blocks of nothing but zeros.

    Raises
    ------
    ValueError
        If ``W`` is not a finite matrix, ``name`` is unknown, or ``block`` does not
        divide the shape.
    """
    check_array("W", W, ndim=2)
    if name not in FORMATS:
        raise ValueError(f"format must be one of {FORMATS}, got {name!r}")
    if name == "dense":
        return W
    from scipy import sparse  # takes as long to load as NumPy; ranks do without it

    if name == "BSR":
        block = check_block("block", block, W.shape)
        return sparse.bsr_array(W, blocksize=block)
    return getattr(sparse, f"{name.lower()}_array")(W)


def storage(matrix: Any) -> dict[str, int]:
    """Return the bytes of every array that a matrix is stored in, by SciPy's name.

    Summed up they are exact: CSR takes ``nnz*(value + index) + (rows + 1)*index``, CSC
    the same with columns, COO ``nnz*(value + 2*index)``, BSR ``blocks*(size*value +
    index) + (block rows + 1)*index``.
    """
    if isinstance(matrix, np.ndarray):
        return {"data": matrix.nbytes}
    places = ("row", "col") if matrix.format == "coo" else ("indices", "indptr")
    return {k: int(getattr(matrix, k).nbytes) for k in ("data", *places)}


class Choice(NamedTuple):
    """The format that pays, the matrix in it, why, and what each format costs."""

    format: str
    matrix: Any
    why: str
    costs: dict[str, float]


def _in_all_formats(W: Array, block: tuple[int, int]) -> dict[str, Any]:
    check_array("W", W, ndim=2)
    rows, columns = check_block("block", block)
    fits = not (W.shape[0] % rows or W.shape[1] % columns)
    names = FORMATS if fits else FORMATS[:-1]
    return {k: to_format(W, k, block=block) for k in names}


def smallest(W: Array, *, block: tuple[int, int] = (4, 4)) -> Choice:
    """Choose the format with the fewest bytes; BSR only where ``block`` fits.

    ``costs`` are bytes. Of two equal ones the simpler wins, in the order of `FORMATS`.
    """
    made = _in_all_formats(W, block)
    costs = {k: float(sum(storage(m).values())) for k, m in made.items()}
    best = min(costs, key=lambda k: costs[k])
    density = np.count_nonzero(W) / W.size
    rest = sorted((v, k) for k, v in costs.items() if k != best)[0]
    why = (
        f"{density:.1%} of the entries are not zero: {best} takes {costs[best]:,.0f} "
        f"bytes, {rest[1]} {rest[0]:,.0f}"
    )
    return Choice(best, made[best], why, costs)


def fastest(
    W: Array, x: Array, *, block: tuple[int, int] = (4, 4), rounds: int = 5
) -> Choice:
    """Choose the format in which ``x @ W`` takes the least time, by measuring it.

    Every format is timed in every round, on this machine and for this ``x`` (batch,
    n_in). ``costs`` are the least seconds of each (`timing.least_seconds`).
    """
    made = _in_all_formats(W, block)
    products = {k: partial(operator.matmul, x, m) for k, m in made.items()}
    products["dense"] = partial(matmul, x, W)
    costs = least_seconds(products, rounds=rounds)
    best = min(costs, key=lambda k: costs[k])
    why = (
        f"{best} takes {costs[best] / costs['dense']:.2f} of the dense product's time "
        f"for {len(x)} rows at density {np.count_nonzero(W) / W.size:.1%}"
    )
    return Choice(best, made[best], why, costs)


@primitive
def sparse_linear(x: Any, values: Any, b: Any, *, pattern: Any) -> Result:
    """Compute ``x @ S + b`` with a sparse S (n_in, n_out) that keeps its pattern.

    x (batch, n_in), b (n_out,). ``pattern`` is a CSR array whose places stay; its
    entries are ``values`` (nnz,), and only they are trained. Their derivative needs
    the products of one input and one cotangent at each place, and no dense matrix
    (Gale et al. 2020, sampled dense-dense product).

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    if not (
        np.shape(x)[1:] == pattern.shape[:1]
        and np.shape(b) == pattern.shape[1:]
        and np.shape(values) == (pattern.nnz,)
    ):
        raise ValueError(
            "sparse_linear needs x (batch, n_in), values (nnz,), b (n_out,), got "
            f"{np.shape(x)}, {np.shape(values)}, {np.shape(b)} for a pattern of shape "
            f"{pattern.shape} with {pattern.nnz} entries"
        )
    from scipy import sparse

    S = sparse.csr_array((values, pattern.indices, pattern.indptr), pattern.shape)

    def pull_values(d: Any) -> Any:
        rows = np.repeat(np.arange(S.shape[0]), np.diff(S.indptr))
        out = np.zeros_like(values)
        for x_i, d_i in zip(x, d, strict=True):  # never (batch, nnz) at once
            out += x_i[rows] * d_i[S.indices]
        return out

    return x @ S + b, (lambda d: d @ S.T, pull_values, lambda d: d.sum(axis=0))
