"""Where arrays lie: those that follow each other in one buffer are one flat array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepopt_lib.core.types import Array

__all__ = ["address", "flat", "follows", "joined", "owner"]


def follows(a: Array, b: Array) -> bool:
    """Say whether ``b`` starts where ``a`` ends, in one flat buffer of their dtype."""
    return (
        isinstance(a.base, np.ndarray)
        and a.base is b.base
        and a.base.ndim == 1
        and a.dtype == b.dtype == a.base.dtype
        and address(a) + a.nbytes == address(b)
    )


def flat(parts: Sequence[Array]) -> Array | None:
    """Return one flat view of arrays that lie side by side, or None if they do not."""
    first = parts[0]
    if len(parts) == 1:
        return first.reshape(-1)
    if not all(map(follows, parts, parts[1:])):
        return None
    buffer: Array = first.base  # type: ignore[assignment]
    start = (address(first) - address(buffer)) // buffer.itemsize
    return buffer[start : start + sum(a.size for a in parts)]


def joined(parts: Sequence[Array]) -> Array:
    """Return one flat view of arrays that are known to lie side by side."""
    whole = flat(parts)
    assert whole is not None
    return whole


def owner(a: Array) -> Any:
    """Return the object whose memory an array uses: itself, or what it is a view of."""
    found: Any = a
    while isinstance(found, np.ndarray) and found.base is not None:
        found = found.base
    return found.obj if isinstance(found, memoryview) else found


def address(a: Array) -> int:
    """Return where the memory of an array begins."""
    return int(a.__array_interface__["data"][0])
