"""Muon's orthogonalized step: the one rule that sees a matrix as a matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass

from deepopt_lib.core.products import matmul, norm
from deepopt_lib.core.types import Array
from deepopt_lib.optim.base import Checked

__all__ = ["Orthogonalize"]


@dataclass(frozen=True)
class Orthogonalize(Checked):
    """Make the direction nearly orthogonal: Muon's step (Jordan et al. 2024).

    For a matrix of shape (rows, columns): scale to Frobenius norm 1, then ``steps``
    quintic Newton-Schulz iterations ``X = a*X + (b*A + c*A@A) @ X`` with ``A = X@X.T``,
    which push every singular value toward 1 (into about [0.7, 1.2]). The result is
    multiplied by ``sqrt(max(1, columns/rows))``, outputs by inputs: matrices are
    (n_in, n_out) here, and the transpose of it in the paper's code and in PyTorch.
    No state; not elementwise.

    Raises
    ------
    ValueError
        If ``steps`` is not a positive int, or ``w`` is not a matrix.
    """

    steps: int = 5

    @property
    def elementwise(self) -> bool:
        return False

    def init(self, w: Array, /) -> None:
        if w.ndim != 2:
            raise ValueError(
                f"Orthogonalize needs a matrix, got shape {w.shape}: "
                "give this parameter another rule"
            )

    def update(self, g: Array, s: None, w: Array, t: int, /) -> tuple[Array, None]:
        rows, columns = g.shape
        a, b, c = 3.4445, -4.7750, 2.0315
        X = (g.T if rows > columns else g) / (norm(g) + 1e-7)
        for _ in range(self.steps):
            A = matmul(X, X.T)
            X = a * X + matmul(b * A + matmul(c * A, A), X)
        X = X.T if rows > columns else X
        return math.sqrt(max(1.0, columns / max(1, rows))) * X, s
