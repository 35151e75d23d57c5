"""Checks of what goes into a layer: sizes that fit each other, indices in range."""

from __future__ import annotations

import functools
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_indices", "check_shapes"]


def check_shapes(what: str, wanted: str, *arrays: Any) -> None:
    """Raise unless the arrays have the shapes that ``wanted`` describes.

    ``wanted`` reads like a docstring: ``"x (batch, n_in), W (n_in, 3*n), b (3*n,)"``.
    A name stands for one size wherever it occurs, a number for itself, ``3*n`` for a
    multiple; a leading ``...`` for any number of further axes. Costs a microsecond
    when the same shapes were there before.

    Raises
    ------
    ValueError
        ``"linear needs x (batch, n_in), W (n_in, n_out), b (n_out,), got (5, 4),
        (3, 2), (2,)"``.
    """
    try:
        shapes = tuple([a.shape for a in arrays])
    except AttributeError:  # lists and numbers
        shapes = tuple([np.shape(a) for a in arrays])
    if not _all_fit(wanted, shapes):
        got = ", ".join(str(shape) for shape in shapes)
        raise ValueError(f"{what} needs {wanted}, got {got}")


def check_indices(name: str, x: Any, size: int) -> NDArray[Any]:
    """Return ``x`` as an array, if all of it are ints in [0, size): labels, ids.

    Raises
    ------
    ValueError
        ``"labels must be ints in [0, 10), got bool"``, or ``"... got [-1]"``. As an
        index, bools would be a mask, and -1 the last one.
    """
    found: NDArray[Any] = np.asarray(x)
    if found.dtype.kind not in "iu":
        raise ValueError(f"{name} must be ints in [0, {size}), got {found.dtype}")
    least, most = np.minimum.reduce, np.maximum.reduce
    if found.size and not 0 <= least(found, axis=None) <= most(found, axis=None) < size:
        wrong = np.unique(found[(found < 0) | (found >= size)])
        raise ValueError(f"{name} must be ints in [0, {size}), got {wrong}")
    return found


@functools.lru_cache(maxsize=1024)
def _all_fit(wanted: str, shapes: tuple[tuple[int, ...], ...]) -> bool:
    sizes: dict[str, int] = {}
    return all(
        _fits(axes, shape, sizes)
        for axes, shape in zip(_parse(wanted), shapes, strict=True)
    )


Axes = tuple[tuple[int, str], ...]  # (factor, name) of each axis; the name may be empty


def _parse(wanted: str) -> tuple[Axes, ...]:
    """Return the axes of every array that ``wanted`` names, in order."""
    return tuple(
        tuple(_axis(text.strip()) for text in inside.split(",") if text.strip())
        for inside in re.findall(r"\(([^)]*)\)", wanted)
    )


def _axis(text: str) -> tuple[int, str]:
    factor, star, name = text.partition("*")
    if star:
        return int(factor), name
    return (int(text), "") if text.isdigit() else (1, text)


def _fits(axes: Axes, shape: tuple[int, ...], sizes: dict[str, int]) -> bool:
    """Compare one shape; learn the sizes of names that occur for the first time."""
    if axes and axes[0][1] == "...":
        axes = axes[1:]
        shape = shape[max(len(shape) - len(axes), 0) :]
    if len(axes) != len(shape):
        return False
    for (factor, name), n in zip(axes, shape, strict=True):
        if name and name not in sizes:
            sizes[name], rest = divmod(n, factor)
            if rest:
                return False
        elif n != factor * sizes.get(name, 1):
            return False
    return True
