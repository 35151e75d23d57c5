"""Embedding: a table of vectors, looked up."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepopt_lib.autodiff.tape import Result, primitive
from deepopt_lib.core.shapes import check_indices, check_shapes

__all__ = ["embedding"]


@primitive
def embedding(table: Any, ids: Any) -> Result:
    """Look up rows: ``table[ids]``, table (words, dim), ids (...) -> (..., dim).

    The derivative adds up the cotangents of equal ids, in the order of the ids.

    Raises
    ------
    ValueError
        If ``table`` is not a matrix, or ``ids`` are not ints in [0, words).
    """
    check_shapes("embedding", "table (words, dim)", table)
    ids = check_indices("ids", ids, len(table))

    def pull(d: Any) -> Any:
        out = np.zeros_like(table, dtype=d.dtype)
        order = np.argsort(ids, axis=None, kind="stable")
        found, starts = np.unique(ids.ravel()[order], return_index=True)
        rows = d.reshape(ids.size, table.shape[1])
        out[found] = np.add.reduceat(rows[order], starts, axis=0)
        return out

    return table[ids], (pull, None)
