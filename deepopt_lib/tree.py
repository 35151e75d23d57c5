"""Plain functions over dicts of arrays: parameters, gradients, states."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from deepopt_lib.checked import is_number
from deepopt_lib.types import Array, Grads, Params

__all__ = ["clip_by_global_norm", "global_norm", "pack", "tree_map", "unpack"]


def tree_map(f: Callable[..., Any], *trees: dict[str, Any]) -> dict[str, Any]:
    """Apply ``f`` name by name: ``{k: f(a[k], b[k], ...)}``.

    Raises
    ------
    ValueError
        If the dicts do not have the same names.
    """
    first, *others = trees
    for other in others:
        same_names(first, other)
    return {k: f(*(tree[k] for tree in trees)) for k in first}


def same_names(expected: dict[str, Any], given: dict[str, Any]) -> None:
    """Raise a ValueError that names what ``given`` lacks or has too much."""
    if expected.keys() != given.keys():
        missing = sorted(expected.keys() - given.keys())
        extra = sorted(given.keys() - expected.keys(), key=str)
        raise ValueError(f"names differ: missing {missing}, unexpected {extra}")


def global_norm(grads: Grads) -> float:
    """Return the Euclidean norm of all gradients seen as one vector."""
    return math.sqrt(sum(float(np.vdot(g, g)) for g in grads.values()))


def clip_by_global_norm(grads: Grads, max_norm: float) -> tuple[Grads, float]:
    """Scale all gradients by one factor so that their global norm is at most max_norm.

    Pascanu, Mikolov, Bengio (2013), Algorithm 1. The direction is kept.

    Returns
    -------
    grads : dict
        New arrays, ``g * min(1, max_norm / norm)``.
    norm : float
        The norm before clipping.

    Raises
    ------
    ValueError
        If ``max_norm`` is not a positive number.
    """
    if not (is_number(max_norm) and max_norm > 0):
        raise ValueError(f"max_norm must be a number > 0, got {max_norm!r}")
    norm = global_norm(grads)
    factor = min(1.0, float(max_norm) / norm) if norm > 0 else 1.0
    return {k: g * factor for k, g in grads.items()}, norm


def pack(params: Params) -> tuple[Array, Params]:
    """Copy all arrays into one flat buffer; return it and a dict of views into it.

    A write to the buffer is seen in the views and the other way round, so an
    optimizer can run one long loop while the network still sees matrices.

    Raises
    ------
    ValueError
        If ``params`` is empty or mixes dtypes.
    """
    if not params:
        raise ValueError("params is empty: there is nothing to pack")
    for k, w in params.items():
        if not isinstance(w, np.ndarray):
            raise ValueError(f"params[{k!r}] must be an array, got {w!r}")
    dtypes = {k: w.dtype for k, w in params.items()}
    if len(set(dtypes.values())) > 1:
        raise ValueError(f"params must share one dtype, got {dtypes}")
    flat = np.concatenate([w.ravel() for w in params.values()])
    return flat, unpack(flat, params)


def unpack(flat: Array, like: Params) -> Params:
    """Return views into ``flat`` with the names and shapes of ``like``.

    Raises
    ------
    ValueError
        If the sizes do not add up.
    """
    size = sum(w.size for w in like.values())
    if flat.shape != (size,):
        raise ValueError(f"flat must have shape ({size},), got {flat.shape}")
    views, start = {}, 0
    for k, w in like.items():
        views[k] = flat[start : start + w.size].reshape(w.shape)
        start += w.size
    return views
