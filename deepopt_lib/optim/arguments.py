"""Checks of what an optimizer is given, before anything is changed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepopt_lib.core.tree import same_names
from deepopt_lib.core.types import Array, Params, State

__all__ = ["check_like", "check_lr", "check_names", "check_params", "check_state"]


def check_lr(lr: Any, name: str) -> float:
    """Return ``lr`` as a float, or refuse what is no learning rate."""
    number = isinstance(lr, int | float | np.floating) and not isinstance(lr, bool)
    if not (number and 0 <= lr < math.inf):
        raise ValueError(f"{name} must be a finite number >= 0, got {lr!r}")
    return float(lr)


def check_params(params: Any) -> None:
    """Refuse anything but a dict of floating-point arrays with at least one entry."""
    if not isinstance(params, dict) or not params:
        raise ValueError(f"params must be a dict with an array or more, got {params!r}")
    for name, w in params.items():
        if not (isinstance(w, np.ndarray) and w.dtype.kind == "f"):
            raise ValueError(
                f"params[{name!r}] must be a floating-point array, got {_kind(w)}"
            )


def check_names(what: str, params: Params, other: Any) -> None:
    """Refuse a dict that does not have the names of ``params``."""
    if not isinstance(other, dict):
        raise ValueError(f"{what} must be a dict, got {other!r}")
    try:
        same_names(params, other)
    except ValueError as error:
        raise ValueError(f"{what} does not fit params: {error}") from None


def check_like(what: str, params: Params, grads: Any) -> None:
    """Refuse gradients whose names, shapes or dtypes are not those of ``params``."""
    check_names(what, params, grads)
    for name, w in params.items():
        g = grads[name]
        if not _alike(g, w):
            like = f"{_kind(w)} like params[{name!r}]"
            raise ValueError(f"{what}[{name!r}] must be {like}, got {_kind(g)}")


def check_state(name: str, state: State, w: Array, strict: bool = False) -> None:
    """Refuse the state of another array, which would broadcast without a word.

    ``strict``: nor may it have another dtype, or hold single numbers, as some rules do.
    """
    for part in state if isinstance(state, tuple) else (state,):
        if isinstance(part, tuple):
            check_state(name, part, w, strict)
        elif part is not None and not (
            _alike(part, w) if strict else np.shape(part) in ((), w.shape)
        ):
            raise ValueError(
                f"state.rules[{name!r}] must be {_kind(w)} like params[{name!r}], "
                f"got {_kind(part)}"
            )


def _alike(g: Any, w: Array) -> bool:
    # NumPy turns a 0-d array into a scalar at the first operation.
    array = isinstance(g, np.ndarray | np.floating)
    return array and g.shape == w.shape and g.dtype == w.dtype


def _kind(w: Any) -> str:
    return f"{w.dtype} {w.shape}" if isinstance(w, np.ndarray) else repr(w)
