"""Pruning: which entries stay, how many, and when.

A *score* is an array of the weights' shape, a *mask* is True where an entry stays, and
*sparsity* is the fraction that goes. Weights are (n_in, n_out). Methods that also
change what stays (OBS, SparseGPT) are in `deepopt_lib.compress.surgeon`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from deepopt_lib.compress.codec import check_block, check_layer
from deepopt_lib.compress.masks import Mask
from deepopt_lib.compress.nm import check_nm
from deepopt_lib.core.checks import check_array, check_int, check_number
from deepopt_lib.core.types import Array, Params

__all__ = [
    "global_masks",
    "gradual",
    "layer_masks",
    "magnitude",
    "top_blocks",
    "top_nm",
    "top_share",
    "wanda",
]


def magnitude(w: Array) -> Array:
    """Score by size, ``abs(w)`` (Han et al. 2015): the closest sparse array.

    Raises
    ------
    ValueError
        If w is empty, not finite or not floating.
    """
    score: Array = np.abs(check_array("w", w))
    return score


def wanda(W: Array, x: Array) -> Array:
    """Score by size times input, ``abs(W[i, j]) * norm(x[:, i])``.

    Wanda (Sun et al. 2024, eq. 1). W (n_in, n_out), x (samples, n_in) the inputs of the
    layer. The paper compares within an output: ``top_share(score, sparsity, axis=0)``.

    Raises
    ------
    ValueError
        If W or x is no finite matrix, or they do not fit.
    """
    check_layer(W, x)
    norms = np.linalg.norm(x.astype(np.float64), axis=0)
    score: Array = np.abs(W) * norms[:, None]
    return score


def top_share(score: Array, sparsity: float, axis: int | None = None) -> Mask:
    """Keep the entries with the largest scores, ``round(n * (1 - sparsity))`` of n.

    ``axis=None`` counts in the whole array, an axis in every line along it. Of equal
    scores the first stay, so that the count is exact.

    Raises
    ------
    ValueError
        If ``sparsity`` is outside [0, 1), or the scores are empty or not finite.
    """
    check_number("sparsity", sparsity, 0, 1)
    check_array("score", score)
    lines = score.reshape(-1, 1) if axis is None else score
    along = 0 if axis is None else axis
    kept = round(lines.shape[along] * (1 - sparsity))
    order = np.argsort(-lines, axis=along, kind="stable")
    mask = np.zeros(lines.shape, np.bool_)
    first = np.take(order, np.arange(kept), axis=along)
    np.put_along_axis(mask, first, True, axis=along)
    return mask.reshape(score.shape)


def top_nm(score: Array, n: int, m: int) -> Mask:
    """Keep the n largest of every m consecutive scores in a column.

    Mishra et al. (2021).

    Raises
    ------
    ValueError
        If n is not in [1, m), or m does not divide the rows.
    """
    check_array("score", score, ndim=2)
    check_nm("pattern", n, m, score.shape[0])
    groups = score.reshape(-1, m, score.shape[1])
    return top_share(groups, 1 - n / m, axis=1).reshape(score.shape)


def top_blocks(score: Array, block: tuple[int, int], sparsity: float) -> Mask:
    """Keep the blocks of entries with the largest sums of squared scores.

    Raises
    ------
    ValueError
        If ``block`` is not two ints >= 1 that divide the shape, or ``sparsity`` is
        outside [0, 1).
    """
    check_array("score", score, ndim=2)
    r, c = check_block("block", block, score.shape)
    tiles = score.reshape(score.shape[0] // r, r, score.shape[1] // c, c)
    squares = np.square(tiles, dtype=np.float64).sum(axis=(1, 3))
    kept = top_share(squares, sparsity)
    return np.kron(kept, np.ones((r, c), np.bool_))


def layer_masks(
    params: Params, sparsity: float, names: Iterable[str]
) -> dict[str, Mask]:
    """Prune every named array to the same sparsity, by magnitude."""
    return {k: top_share(magnitude(params[k]), sparsity) for k in names}


def global_masks(
    params: Params, sparsity: float, names: Iterable[str]
) -> dict[str, Mask]:
    """Prune the named arrays together by magnitude: one threshold for all of them."""
    names = list(names)
    flat = np.concatenate([magnitude(params[k]).ravel() for k in names])
    kept = top_share(flat, sparsity)
    ends = np.cumsum([params[k].size for k in names])[:-1]
    parts = np.split(kept, ends)
    return {k: m.reshape(params[k].shape) for k, m in zip(names, parts, strict=True)}


def gradual(
    end: float, first: int, last: int, start: float = 0.0
) -> Callable[[int], float]:
    """Return a sparsity schedule that prunes fast at first (Zhu and Gupta 2018, eq. 1).

    ``s(t) = end + (start - end) * (1 - (t - first)/(last - first))**3`` between the
    steps ``first`` and ``last``, constant outside.

    Raises
    ------
    ValueError
        If ``start`` or ``end`` is outside [0, 1), or not 0 <= first < last.
    """
    end, start = check_number("end", end, 0, 1), check_number("start", start, 0, 1)
    first = check_int("first", first, 0)
    last = check_int("last", last, first + 1)

    def sparsity(t: int) -> float:
        left = 1 - min(max((t - first) / (last - first), 0.0), 1.0)
        return end + (start - end) * left**3

    return sparsity
