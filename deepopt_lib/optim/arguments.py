"""Checks of what an optimizer is given, before anything is changed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from deepopt_lib.core.tree import named_leaves, same_names
from deepopt_lib.core.types import Array, Params, Rule, State

__all__ = ["check_like", "check_names", "check_params", "check_state", "form"]


def check_params(params: Any) -> None:
    """Refuse anything but a dict of floating-point arrays with at least one entry.

    Raises
    ------
    ValueError
        It names the parameter and what it is.
    """
    if not isinstance(params, dict) or not params:
        raise ValueError(f"params must be a dict with an array or more, got {params!r}")
    for name, w in params.items():
        if not (isinstance(w, np.ndarray) and w.dtype.kind == "f"):
            raise ValueError(
                f"params[{name!r}] must be a floating-point array, got {_kind(w)}"
            )


def check_names(what: str, params: Params, other: Any) -> None:
    """Refuse a dict that does not have the names of ``params``.

    Raises
    ------
    ValueError
        It says which names are missing, and which are too many.
    """
    if not isinstance(other, dict):
        raise ValueError(f"{what} must be a dict, got {other!r}")
    try:
        same_names(params, other)
    except ValueError as error:
        raise ValueError(f"{what} does not fit params: {error}") from None


def check_like(what: str, params: Params, grads: Any) -> None:
    """Refuse gradients whose names, shapes or dtypes are not those of ``params``.

    Raises
    ------
    ValueError
        It names the gradient, what it is, and what it should be.
    """
    check_names(what, params, grads)
    for name, w in params.items():
        g = grads[name]
        if not _alike(g, w):
            like = f"{_kind(w)} like params[{name!r}]"
            raise ValueError(f"{what}[{name!r}] must be {like}, got {_kind(g)}")


def check_state(name: str, state: State, w: Array, rule: Rule) -> None:
    """Refuse the state of another rule or array, which would broadcast without a word.

    Only for an elementwise rule, whose state is made of arrays like ``w``.

    Raises
    ------
    ValueError
        It names the parameter and what its state is.
    """
    what = f"state.rules[{name!r}]"
    if form(state) != _form_of(rule, w.dtype):
        raise ValueError(f"{what} must be a state of {rule!r}, got {state!r}")
    for _, part in named_leaves(state, what):
        if not _alike(part, w):
            raise ValueError(
                f"{what} must be {_kind(w)} like params[{name!r}], got {_kind(part)}"
            )


def form(state: State) -> Any:
    """Return how the arrays of a state belong together: nested types, no numbers."""
    if isinstance(state, tuple | list):
        return type(state), *map(form, state)
    return None if state is None else "array"


def _form_of(rule: Rule, dtype: Any) -> Any:
    try:
        return _known_form(rule, dtype)  # type: ignore[arg-type]
    except TypeError:  # the rule has no hash
        return form(rule.init(np.zeros(0, dtype)))


@lru_cache(maxsize=256)
def _known_form(rule: Any, dtype: Any) -> Any:
    return form(rule.init(np.zeros(0, dtype)))


def _alike(g: Any, w: Array) -> bool:
    # NumPy turns a 0-d array into a scalar at the first operation.
    array = isinstance(g, np.ndarray | np.floating)
    return array and g.shape == w.shape and g.dtype == w.dtype


def _kind(w: Any) -> str:
    return f"{w.dtype} {w.shape}" if isinstance(w, np.ndarray) else repr(w)
