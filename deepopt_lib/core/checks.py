"""One check of each kind; every message names the thing and the value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepopt_lib.core.types import Array

__all__ = ["check_array", "check_bool", "check_int", "check_number"]


def check_number(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    ends: str = "[)",
) -> float:
    """Return ``value`` as a Python float, if it is a number between two bounds.

    ``ends`` says whether a bound belongs to the interval: ``"[)"`` is low <= value <
    high. Scalars of NumPy are welcome; bools and NaN are no numbers here. What comes
    back is a Python float, beside which a float32 array stays float32.

    Raises
    ------
    ValueError
        ``"Adam.b1 must be in [0, 1), got 1.0"``.
    """
    left = "(" if math.isinf(low) else ends[0]
    right = ends[1]
    number = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(value, bool) or not (
        number
        and (low <= value if left == "[" else low < value)
        and (value <= high if right == "]" else value < high)
    ):
        span = f"{left}{low:g}, {high:g}{right}"
        if math.isinf(low) and high == math.inf:
            raise ValueError(f"{name} must be a finite number, got {value!r}")
        raise ValueError(f"{name} must be in {span}, got {value!r}")
    return float(value)


def check_int(name: str, value: Any, low: int = 1, high: int | None = None) -> int:
    """Return ``value`` as a Python int, if it is one in [low, high].

    Raises
    ------
    ValueError
        ``"bits must be an int in [1, 16], got 17"`` or ``"r must be an int >= 1, got
        0"``.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        span = f">= {low}" if high is None else f"in [{low}, {high}]"
        raise ValueError(f"{name} must be an int {span}, got {value!r}")
    return int(value)


def check_bool(name: str, value: Any) -> bool:
    """Return ``value`` as a bool of Python, if it is one of Python's or NumPy's.

    Raises
    ------
    ValueError
        ``"Momentum.ema must be True or False, got 1"``.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_array(name: str, x: Any, ndim: int | None = None) -> Array:
    """Return ``x`` if it is a floating-point array, not empty and finite.

    Raises
    ------
    ValueError
        If it is something else, has another number of axes than ``ndim``, no entries,
        or entries that are NaN or infinite.
    """
    if not (isinstance(x, np.ndarray) and x.dtype.kind == "f"):
        what = x.dtype if isinstance(x, np.ndarray) else repr(x)
        raise ValueError(f"{name} must be a floating-point array, got {what}")
    if ndim is not None and x.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} axes, got shape {x.shape}")
    if x.size == 0:
        raise ValueError(f"{name} is empty: shape {x.shape}")
    if not np.isfinite(x).all():
        bad = int(x.size - np.isfinite(x).sum())
        raise ValueError(f"{name} has {bad} entries that are NaN or infinite")
    return x
