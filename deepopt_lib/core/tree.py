"""Trees of arrays: parameters, gradients, states, codes. One way to walk them.

A *tree* is None, an array, or a dict or (named) tuple of trees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core.checks import check_number
from deepopt_lib.core.types import Array, Grads, Params

__all__ = [
    "clip_by_global_norm",
    "flatten",
    "global_norm",
    "named_leaves",
    "nbytes",
    "ravel",
    "tree_map",
    "unflatten",
    "unravel",
]


def named_leaves(tree: Any, name: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield every array of a tree with the path to it, such as ``"layer1.W/0"``.

    In the order of the dicts and tuples. A scalar of NumPy counts as an array without
    axes: that is what an operation makes of one.

    Raises
    ------
    ValueError
        If a leaf is no array.
    """
    if isinstance(tree, np.ndarray | np.generic):
        yield name, np.asarray(tree)
    elif isinstance(tree, dict | tuple | list):
        pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for key, inner in pairs:
            yield from named_leaves(inner, f"{name}/{key}" if name else str(key))
    elif tree is not None:
        where = name or "a tree"
        raise ValueError(f"{where} must be an array or a tuple of them, got {tree!r}")


def flatten(tree: Any) -> tuple[NDArray[Any], ...]:
    """Return the arrays of a tree, in the order of its dicts and tuples."""
    return tuple(leaf for _, leaf in named_leaves(tree))


def unflatten(like: Any, leaves: Iterable[Any]) -> Any:
    """Return a tree like ``like`` with other leaves, in the order of `flatten`."""
    todo = iter(leaves)

    def build(old: Any) -> Any:
        if isinstance(old, np.ndarray | np.generic):
            return next(todo)
        if isinstance(old, dict):
            return {k: build(inner) for k, inner in old.items()}
        if not isinstance(old, tuple | list):
            return old
        parts = [build(inner) for inner in old]
        return type(old)(*parts) if hasattr(old, "_fields") else type(old)(parts)

    return build(like)


def nbytes(tree: Any) -> int:
    """Return the bytes of all arrays of a tree: parameters, a state, a code."""
    return sum(leaf.nbytes for leaf in flatten(tree))


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
        If ``max_norm`` is not a number > 0.
    """
    max_norm = check_number("max_norm", max_norm, 0, math.inf, "(]")
    norm = global_norm(grads)
    factor = min(1.0, max_norm / norm) if norm > 0 else 1.0
    return {k: g * factor for k, g in grads.items()}, norm


def ravel(params: Params) -> tuple[Array, Params]:
    """Copy all arrays into one flat buffer; return it and a dict of views into it.

    A write to the buffer is seen in the views and the other way round.

    Raises
    ------
    ValueError
        If ``params`` is empty or mixes dtypes.
    """
    if not params:
        raise ValueError("params is empty: there is nothing to ravel")
    for k, w in params.items():
        if not isinstance(w, np.ndarray):
            raise ValueError(f"params[{k!r}] must be an array, got {w!r}")
    dtypes = {k: w.dtype for k, w in params.items()}
    if len(set(dtypes.values())) > 1:
        raise ValueError(f"params must share one dtype, got {dtypes}")
    flat = np.concatenate([w.ravel() for w in params.values()])
    return flat, unravel(flat, params)


def unravel(flat: Array, like: Params) -> Params:
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
