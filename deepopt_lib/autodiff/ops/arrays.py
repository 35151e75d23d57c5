"""Primitives that move entries or add them up.

What NumPy refuses in the function of the same name is refused here with its message:
shapes that do not fit, an axis or an index that is not there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deepopt_lib.autodiff.tape import Result, primitive

__all__ = ["mean", "reshape", "sum", "take", "transpose"]


@primitive
def reshape(a: Any, *, shape: tuple[int, ...]) -> Result:
    """Give the same entries another shape."""
    return np.reshape(a, shape), (lambda d: np.reshape(d, np.shape(a)),)


@primitive
def transpose(a: Any, *, axes: tuple[int, ...] | None = None) -> Result:
    """Permute the axes (reverse them by default)."""
    back = None if axes is None else tuple(int(i) for i in np.argsort(axes))
    return np.transpose(a, axes), (lambda d: np.transpose(d, back),)


@primitive
def take(a: Any, index: Any) -> Result:
    """Compute ``a[index]``; an entry that is taken twice collects both cotangents."""
    parts = index if isinstance(index, tuple) else (index,)
    basic = all(i is None or i is ... or type(i) in (int, slice) for i in parts)

    def pull(d: Any) -> Any:
        out = np.zeros_like(a)
        if basic:  # no entry occurs twice: far faster than ufunc.at
            out[index] += d
        else:
            np.add.at(out, index, d)
        return out

    return a[index], (pull, None)


@primitive
def sum(a: Any, *, axis: int | tuple[int, ...] | None = None) -> Result:
    """Sum over ``axis`` (all axes by default)."""
    out = np.sum(a, axis=axis)

    def pull(d: Any) -> Any:
        spread = d if axis is None else np.expand_dims(d, axis)
        return np.broadcast_to(spread, np.shape(a))

    return out, (pull,)


@primitive
def mean(a: Any, *, axis: int | tuple[int, ...] | None = None) -> Result:
    """Mean over ``axis`` (all axes by default)."""
    out = np.mean(a, axis=axis)
    count = np.size(a) / max(np.size(out), 1)

    def pull(d: Any) -> Any:
        spread = d if axis is None else np.expand_dims(d, axis)
        return np.broadcast_to(spread / count, np.shape(a))

    return out, (pull,)
