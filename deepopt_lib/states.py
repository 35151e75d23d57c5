"""A rule's state seen as a list of arrays: None, one array, or tuples of such."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from deepopt_lib.types import Array, State

__all__ = ["arrays", "part", "rebuild"]


def arrays(s: State) -> tuple[Array, ...]:
    """Return the arrays of a state, in order: None, an array, or tuples of them."""
    if s is None:
        return ()
    if isinstance(s, np.ndarray):
        return (s,)
    return tuple(a for inner in s for a in arrays(inner))


def rebuild(s: State, parts: Iterable[Array]) -> State:
    """Return a state like ``s`` with other arrays, in the order of `arrays`."""
    todo = iter(parts)

    def build(old: State) -> State:
        if old is None:
            return None
        if isinstance(old, np.ndarray):
            return next(todo)
        inner = [build(x) for x in old]
        return type(old)(*inner) if hasattr(old, "_fields") else tuple(inner)

    return build(s)


def part(s: State, i: slice) -> State:
    """Return views of the span ``i`` of every (flat) array of a state."""
    return rebuild(s, (a.reshape(-1)[i] for a in arrays(s)))
