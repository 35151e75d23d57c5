"""K-means on a line: few numbers in the place of many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core.checks import check_array, check_int
from deepopt_lib.core.types import Array

__all__ = ["STARTS", "k_means"]

STARTS = ("linear", "density", "random")
"""Where the centers may start."""


def k_means(
    values: Array,
    k: int,
    start: str = "linear",
    rng: np.random.Generator | None = None,
    iterations: int = 100,
) -> tuple[Array, NDArray[np.intp]]:
    """Return k centers, in order, and the nearest center of each number.

    Lloyd (1982) on a line, until nothing moves. Han et al. (2016), section 3.2, start
    from evenly spaced centers (``"linear"``), from quantiles (``"density"``) or from
    entries drawn by ``rng`` (``"random"``). A center that loses all entries stays.
    Where there are k different numbers or fewer, these are the centers.

    Raises
    ------
    ValueError
        If there are fewer numbers than centers, or an argument is out of range.
    """
    check_array("values", values)
    k = check_int("k, the number of centers,", k, 1, values.size)
    check_int("iterations", iterations, 0)
    flat = np.sort(values, axis=None).astype(np.float64)
    if start == "linear":
        centers = np.linspace(flat[0], flat[-1], k)
    elif start == "density":
        centers = np.quantile(flat, (np.arange(k) + 0.5) / k)
    elif start == "random" and rng is not None:
        centers = np.sort(rng.choice(flat, k, replace=False))
    else:
        raise ValueError(f"start must be in {STARTS}, 'random' with rng, got {start!r}")
    centers = centers.astype(values.dtype)
    if (few := np.unique(flat)).size <= k:  # each is a center: without an error
        centers = np.pad(few, (0, k - few.size), mode="edge").astype(values.dtype)
        return centers, np.searchsorted(_limits(centers), values)
    sums = np.concatenate([[0], np.cumsum(flat)])
    for _ in range(iterations):
        # On a line each center owns a span of the sorted values.
        edges = np.searchsorted(flat, _limits(centers), side="right")
        ends = np.concatenate([[0], edges, [flat.size]])
        counts = np.diff(ends)
        means = (sums[ends[1:]] - sums[ends[:-1]]) / np.maximum(counts, 1)
        moved = np.where(counts > 0, means, centers).astype(values.dtype)
        if np.array_equal(moved, centers):
            break
        centers = np.sort(moved)
    return centers, np.searchsorted(_limits(centers), values)


def _limits(centers: Array) -> Array:
    """Return the largest number that is nearest to each center but the last."""
    half = centers / np.float64(2)  # of large numbers, even the sum is finite
    middle = half[:-1] + half[1:]
    rounded_up = middle - centers[:-1] > centers[1:] - middle
    limits: Array = np.where(rounded_up, np.nextafter(middle, -np.inf), middle)
    return limits
