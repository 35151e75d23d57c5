"""What counting predicts: n-grams whose orders are mixed, and the bytes they take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core.checks import check_int
from deepopt_lib.core.shapes import check_indices
from deepopt_lib.core.types import Array

__all__ = ["NGrams"]

Ids = NDArray[np.int64]
LARGEST = 2**62  # of the number that stands for a row of symbols


class NGrams:
    """Witten-Bell interpolation: Chen, Goodman (1999), section 2.6.

    After a context h that occurred N times and was followed by T kinds of symbols,
    ``p(s | h) = (count(h s) + T * p(s | h less its first symbol)) / (N + T)``; below
    the first order all symbols are alike. A context that never occurred leaves the
    word to the shorter one.

    Parameters
    ----------
    ids : (n,) ints
        The text that is counted.
    order : int
        The longest row of symbols that is counted, the predicted one included: 3 are
        trigrams.
    symbols : int
        How many kinds there are.

    Raises
    ------
    ValueError
        If the ids are no symbols, a number is no positive int, or the text is shorter
        than ``order``.
    """

    def __init__(self, ids: Any, order: int, symbols: int) -> None:
        """Count."""
        ids = check_indices("ids", ids, symbols).astype(np.int64)
        check_int("order", order, 1, len(ids))
        if symbols**order > LARGEST:
            raise ValueError(f"order {order} is too much for {symbols} symbols")
        self.symbols, self.order = symbols, order
        self.rows: list[Ids] = []  # of each order, sorted
        self.counts: list[Ids] = []
        for n in range(1, order + 1):
            rows, counts = np.unique(self._rows(ids, n), return_counts=True)
            self.rows.append(rows)
            self.counts.append(counts.astype(np.int64))

    def probabilities(self, ids: Any) -> Array:
        """Return p of each symbol after those before it, from the first on.

        Raises
        ------
        ValueError
            If the ids are no symbols.
        """
        ids = check_indices("ids", ids, self.symbols).astype(np.int64)
        p = np.full(len(ids), 1 / self.symbols)
        for n in range(1, self.order + 1):
            rows, counts = self.rows[n - 1], self.counts[n - 1]
            heads, first = np.unique(rows // self.symbols, return_index=True)
            totals = np.add.reduceat(counts, first)
            kinds = np.diff(first, append=len(rows))
            here = self._rows(ids, n)
            seen = _found(rows, counts, here)
            total = _found(heads, totals, here // self.symbols)
            kind = _found(heads, kinds, here // self.symbols)
            known = total > 0
            mixed = (seen + kind * p[n - 1 :])[known] / (total + kind)[known]
            p[n - 1 :][known] = mixed
        return p

    def bits_per_byte(self, ids: Any) -> float:
        """Return what a text costs, in bits for each of its symbols."""
        return float(-np.log2(self.probabilities(ids)).mean())

    @property
    def nbytes(self) -> int:
        """Return the bytes of a table of all rows, sorted.

        A row has one byte for its last symbol and one or two for its count; its other
        symbols are those of the rows of lower order that it hangs on, each of which
        says in one byte how many hang on it.
        """
        size = 0
        for n, counts in enumerate(self.counts, 1):
            size += len(counts) * (2 if n < self.order else 1)
            size += int(np.where(counts < 255, 1, 3).sum())
        return size

    def _rows(self, ids: Ids, n: int) -> Ids:
        """Return each row of ``n`` symbols as one number, the first symbol foremost."""
        out = np.zeros(max(len(ids) - n + 1, 0), np.int64)
        for i in range(n):
            out = out * self.symbols + ids[i : len(ids) - n + 1 + i]
        return out


def _found(rows: Any, values: Any, wanted: Any) -> Any:
    """Return the value of each wanted row, 0 of one that is not there."""
    i = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
    return np.where(rows[i] == wanted, values[i], 0)
