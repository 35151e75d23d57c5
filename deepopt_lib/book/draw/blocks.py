"""A sparse matrix in blocks, drawn."""

from __future__ import annotations

import numpy as np
from IPython.display import HTML
from numpy.typing import ArrayLike

from deepopt_lib.book.draw.kit import Canvas
from deepopt_lib.book.draw.metrics import listed
from deepopt_lib.book.draw.sparse import ROWS, check_matrix
from deepopt_lib.core.checks import check_int
from deepopt_lib.core.types import Array

__all__ = ["block_sparse"]

BLOCKS = (
    (4, 1, 0, 0, 0, 0, 0, 0),
    (2, 0, 0, 0, 0, 0, 0, 0),
    (0, 0, 0, 0, 6, 3, 0, 0),
    (0, 0, 0, 0, 1, 8, 0, 0),
    (0, 5, 0, 0, 0, 0, 2, 2),
    (7, 3, 0, 0, 0, 0, 0, 9),
)


def block_sparse(
    matrix: ArrayLike = BLOCKS,
    block: int = 2,
    *,
    caption: str = "Blocks. One address serves a whole tile; in return the zeros "
    "inside a tile are stored as well.",
) -> HTML:
    """Draw a matrix in square blocks, and the blocks that are stored with their places.

    Raises
    ------
    ValueError
        If ``matrix`` is not a finite matrix of at most 8 x 8, ``block`` is not an int
        in [2, 4] that divides its shape, or there are not 1 to 5 blocks to store.
    """
    A = check_matrix(matrix, 8, 8)
    b = check_int("block", block, 2, 4)
    if A.shape[0] % b or A.shape[1] % b:
        raise ValueError(f"block must divide the shape {A.shape}, got {b}")
    tiles = A.reshape(A.shape[0] // b, b, A.shape[1] // b, b).swapaxes(1, 2)
    tile_row, tile_column = np.nonzero(tiles.any(axis=(2, 3)))
    check_int("blocks to store", len(tile_row), 1, 5)
    zeros = int((tiles[tile_row, tile_column] == 0).sum())
    c = Canvas(
        "A matrix in blocks (BSR)",
        f"A matrix of {A.shape[0]} × {A.shape[1]} in tiles of {b} × {b}. Beside it the "
        f"{len(tile_row)} tiles that are not all zero, with their tile columns "
        f"{listed(tile_column)}; {zeros} zeros are stored with them.",
        176,
    )
    side = min(192 / A.shape[1], 148 / A.shape[0])
    left, top = 4.0, 20.0
    for k in range(tiles.shape[1]):
        c.text(left + (k + 0.5) * b * side, 10, str(k), color="gray")
    for r, k in np.ndindex(*tiles.shape[:2]):
        x, y = left + k * b * side, top + r * b * side
        color = ROWS[r] if tiles[r, k].any() else "gray"
        _tile(c, x, y, side, tiles[r, k], color)
    x, cell, gap = 230.0, 34.0, 8.0
    c.text(x, 28, "stored tiles", at="start", bold=True)
    c.text(x, 114, "and their columns", at="start", bold=True)
    for n, (r, k) in enumerate(
        zip(tile_row.tolist(), tile_column.tolist(), strict=True)
    ):
        here = x + n * (cell + gap)
        _tile(c, here, 44, cell / b, tiles[r, k], ROWS[r])
        c.text(here + cell / 2, 92, str(k), color=ROWS[r], name="columns")
    words = f"{np.count_nonzero(A)} entries, {zeros} zeros"
    c.text(x, 146, words, at="start", color="gray", name="stored")
    return c.figure(caption)


def _tile(c: Canvas, x: float, y: float, side: float, tile: Array, color: str) -> None:
    """Draw a tile with a square of ``side`` for each entry."""
    wide = len(tile) * side
    c.box(x, y, wide, wide, color=color, round=0, dashed=not tile.any())
    for u, v in np.argwhere(tile):
        inner = side - 4
        c.box(x + v * side + 2, y + u * side + 2, inner, inner,
              color=color, tint=0.75, edge=False)  # fmt: skip
