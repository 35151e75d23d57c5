"""Low rank of a picture: a few columns times a few rows, and what is lost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from IPython.display import HTML

from deepopt_lib.book.live.cells import Cells
from deepopt_lib.book.live.controls import Slider
from deepopt_lib.book.live.frame import Axis
from deepopt_lib.book.live.marks import Line, Points
from deepopt_lib.book.live.markup import figure
from deepopt_lib.book.live.panel import Panel
from deepopt_lib.core.checks import check_array
from deepopt_lib.core.types import Array

__all__ = ["low_rank", "low_rank_image"]

N = 14  # pixels of a side


def low_rank(
    rank: int, u: list[float], s: list[float], v: list[float]
) -> dict[str, Any]:
    """Add up ``rank`` products of a column and a row; u and v row by row, (N, N)."""
    pixels = []
    for i in range(N):
        for j in range(N):
            value = 0.0
            for k in range(rank):
                value += u[N * i + k] * s[k] * v[N * k + j]
            pixels.append(min(max(value, 0.0), 1.0))
    whole = 0.0
    for one in s:
        whole += one * one
    tail = whole
    errors = [100.0]
    for one in s:
        tail = max(tail - one * one, 0.0)
        errors.append(100 * math.sqrt(tail / whole))
    return {
        "pixels": pixels,
        "ranks": [i for i in range(N + 1)],
        "errors": errors,
        "error": errors[rank],
        "numbers": 2 * N * rank,
        "pixel_count": N * N,
    }


def low_rank_image(image: Array) -> HTML:
    """Show a digit of 14 x 14 pixels in [0, 1] at every rank.

    Raises
    ------
    ValueError
        If the image is no floating-point array of that shape.
    """
    if check_array("image", image, ndim=2).shape != (N, N):
        raise ValueError(f"image must be ({N}, {N}), got {image.shape}")
    u, s, v = np.linalg.svd(image.astype(np.float64))
    # The sign of a pair is free: the largest entry of a column is positive.
    sign = np.sign(u[np.abs(u).argmax(axis=0), np.arange(N)])
    parts = (("u", u * sign), ("s", s), ("v", v * sign[:, None]))
    picture = Panel(
        Axis(-2, 16),
        Axis(14.1, -0.1),
        [Cells(look="ink", values="pixels", rows=N, columns=N, grid=0.1)],
        "A handwritten digit in 14 by 14 squares, blurred: three columns times three "
        "rows, added up.",
        270,
        bare=True,
    )
    curve = Panel(
        Axis(0, N, "rank"),
        Axis(0, 100, "error, % of the picture's norm"),
        [
            Line(look="low rank", x="ranks", y="errors"),
            Points(look="low rank", x="ranks", y="errors", size=5),
            Points(look="low rank", x="rank", y="error", size=11),
        ],
        "The error against the rank: it falls steeply at first and is almost zero "
        "from rank 10 on.",
        270,
    )
    return figure(
        low_rank,
        [Slider("rank", "Rank", list(range(N + 1)), 3)],
        [picture, curve],
        title="A few columns and rows draw the digit; the last ranks draw noise",
        text="Rank {rank} of 14: {numbers} numbers in the place of {pixel_count} "
        "pixels, and an error of {error:3} % of the norm.",
        caption="The best picture of each rank, from the singular value decomposition. "
        "From rank 7 on the factors are as many numbers as the pixels.",
        given={k: [round(x, 4) + 0.0 for x in a.ravel().tolist()] for k, a in parts},
    )
