"""Sparse matrices, drawn: compressed rows, and two of every four."""

from __future__ import annotations

import numpy as np
from IPython.display import HTML
from numpy.typing import ArrayLike

from deepopt_lib.book.draw.kit import Canvas
from deepopt_lib.book.draw.metrics import WIDTH, listed
from deepopt_lib.core.checks import check_array, check_int
from deepopt_lib.core.types import Array

__all__ = ["ROWS", "check_matrix", "csr", "two_four"]

ROWS = ("blue", "vermilion", "green", "pink")
MATRIX = (
    (5, 0, 0, 0, 1, 0),
    (0, 0, 0, 0, 0, 2),
    (0, 0, 0, 0, 0, 0),
    (0, 3, 0, 7, 0, 0),
)


def csr(
    matrix: ArrayLike = MATRIX,
    *,
    caption: str = "Compressed rows. The values stand one after the other, each with "
    "its column; the starts say where each row begins. An empty row is two equal "
    "starts.",
) -> HTML:
    """Draw a matrix and the three arrays that store it in compressed rows.

    Raises
    ------
    ValueError
        If ``matrix`` is not a finite matrix of at most 4 rows and 7 columns with 1 to
        9 entries, or a number is wider than its cell.
    """
    A = check_matrix(matrix, 4, 7)
    rows, columns = A.shape
    i, j = np.nonzero(A)
    nnz = check_int("entries of matrix", len(i), 1, 9)
    starts = np.concatenate([[0], np.cumsum((A != 0).sum(axis=1))])
    c = Canvas(
        "A matrix in compressed rows (CSR)",
        f"A {rows} × {columns} matrix with {nnz} entries, a color for each row. Below, "
        f"data {listed(A[i, j])}, indices {listed(j)}, and indptr {listed(starts)}, "
        "whose arrows point to where each row starts in the data.",
        258,
    )
    w, h, left, top = 34.0, 24.0, 26.0, 22.0
    for k in range(columns):
        c.text(left + (k + 0.5) * w, 10, str(k), color="gray")
    for r in range(rows):
        y = top + r * h
        c.text(left - 8, y + h / 2, str(r), at="end", color=ROWS[r])
        words = [f"{v:g}" if v else "" for v in A[r]]
        tints = [0.3 if v else 0.0 for v in A[r]]
        c.cells(left, y, words, w=w, h=h, colors=ROWS[r], tints=tints)
    x = left + columns * w + 18
    stored = 4 * (2 * nnz + rows + 1)
    c.text(x, top + 12, f"dense: {4 * A.size} bytes", at="start")
    c.text(x, top + 34, f"CSR: {stored} bytes", at="start")
    c.text(x, top + 56, "at 4 a number", at="start", color="gray")
    x, w, h = 80.0, min(58.0, (WIDTH - 86) / nnz), 26.0
    colors = [ROWS[r] for r in i]
    data, index = [f"{v:g}" for v in A[i, j]], [str(k) for k in j]
    for y, name, words in [(136, "data", data), (166, "indices", index)]:
        c.text(x - 12, y + h / 2, name, at="end", bold=True)
        c.cells(x, y, words, w=w, h=h, colors=colors, tints=0.3, name=name)
    y = 228.0
    wide = min(w, 46.0)
    c.text(x - 12, y + h / 2, "indptr", at="end", bold=True)
    for r, begin in enumerate(starts):
        color, left = [*ROWS[:rows], "gray"][r], x + r * wide
        c.cells(left, y, [str(begin)], w=wide, colors=color, name="indptr")
        c.arrow((left + wide / 2, y - 2), (x + begin * w, 195), color=color)
    return c.figure(caption)


def two_four(
    column: ArrayLike = (0.9, -0.1, 0.2, -0.7, 0.1, 0.6, -0.8, 0.3),
    *,
    caption: str = "2:4. Of every four weights the two largest stay. A place within a "
    "group takes two bits, so that the addresses cost next to nothing.",
) -> HTML:
    """Draw eight weights, the two of every four that stay, and what is stored of them.

    Raises
    ------
    ValueError
        If ``column`` does not hold eight finite numbers, or one is wider than its cell.
    """
    v = check_array("column", np.asarray(column, np.float64), ndim=1)
    if v.size != 8:
        raise ValueError(f"column must hold 8 numbers, got {v.size}")
    groups = np.abs(v).reshape(2, 4)
    order = np.argsort(-groups, axis=1, kind="stable")
    places = np.sort(order[:, :2], axis=1)
    kept = [int(p) + 4 * g for g in range(2) for p in places[g]]
    c = Canvas(
        "Two of every four weights",
        f"Eight weights in two groups of four. Of each group the two largest, "
        f"{listed(v[kept])}, are stored, with their places as two bits each: "
        f"{', '.join(f'{p:02b}' for p in places.ravel())}.",
        204,
    )
    w, h, left, gap = 42.0, 30.0, 76.0, 16.0
    at = [left + k * w + k // 4 * gap for k in range(8)]
    c.text(left - 10, 23, "weights", at="end")
    for k in range(8):
        stays = k in kept
        color = "blue" if stays else "gray"
        c.box(at[k], 8, w, h, color=color, tint=0.3 * stays, round=0)
        c.text(at[k] + w / 2, 23, f"{v[k]:g}", color="ink" if stays else "gray")
        if not stays:
            c.curve([(at[k] + 5, 33), (at[k] + w - 5, 13)], width=1)
        c.text(at[k] + w / 2, 50, f"{k % 4:02b}", color="ink" if stays else "gray")
    c.text(left - 10, 50, "place", at="end", color="gray")
    stored = [left + 75 + k * 49 for k in range(4)]
    for k, source in enumerate(kept):
        c.arrow((at[source] + w / 2, 62), (stored[k] + w / 2, 100), color="blue")
        c.cells(stored[k], 104, [f"{v[source]:g}"], w=w, colors="blue", tints=0.3,
                name="values")  # fmt: skip
        c.cells(stored[k], 138, [f"{source % 4:02b}"], w=w, colors="green", tints=0.3,
                name="places")  # fmt: skip
    for y, name, size in [(117, "values", "half"), (151, "places", "2 bits each")]:
        c.text(left + 65, y, name, at="end", bold=True)
        c.text(stored[3] + w + 12, y, size, at="start", color="gray")
    bits = 4 * 16 + 4 * 2
    c.text(WIDTH / 2, 190, f"float16: {8 * 2} bytes → {bits // 8} bytes")
    return c.figure(caption)


def check_matrix(matrix: ArrayLike, rows: int, columns: int) -> Array:
    """Return a matrix that is small enough to be drawn."""
    A = check_array("matrix", np.asarray(matrix, np.float64), ndim=2)
    if A.shape[0] > rows or A.shape[1] > columns:
        raise ValueError(f"matrix must be at most {rows} × {columns}, got {A.shape}")
    return A
