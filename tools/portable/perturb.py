"""Round every product, sum and transcendental function otherwise, by a seed.

Processors agree on + - * / and the square root of two numbers. They do not agree on
the order of a sum, on fused operations, and on the last bit of exp: what they return
differs by a factor 1 + u with ``|u|`` about the machine's precision. Here u is drawn by
the seed and the bits of the number: the same numbers give the same result each time,
as they do on any processor. What is exact in any order stays, sums of integers and of
halves, and so do sums of a few terms. Vectors of a decomposition, which have no sign of
their own, get one drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tools.portable.names import PRODUCTS, SIGNED, SOLVERS, SUMS

BLOCK = 2**11  # entries: pages that measure their memory shall not see it
IN_TURN = 8  # NumPy adds fewer terms one after the other, on every processor
FRACTIONS = (0, 10, 30)  # multiples of 2**-k are tried for exact sums
MIX = np.uint64(0x9E3779B97F4A7C15)  # the odd number of Knuth's multiplicative hash
BITS = {2: np.uint16, 4: np.uint32, 8: np.uint64}


def _blocks(x: Any) -> Iterator[Any]:
    """Yield all entries in pieces, so that nothing as large as the array is made."""
    if not x.flags.forc:
        yield x
        return
    flat = x.ravel(order="K")
    for start in range(0, flat.size, BLOCK):
        yield flat[start : start + BLOCK]


def _is_multiple(x: Any, k: int) -> bool:
    """Say whether all entries are multiples of 2**-k."""
    if x.dtype.kind not in "biuf":
        return False
    with np.errstate(all="ignore"):
        return all(
            (scaled == np.rint(scaled)).all()
            for scaled in (block.astype(float) * 2.0**k for block in _blocks(x))
        )


def _reach(parts: Sequence[Any], terms: float) -> float:
    """Return how large a sum of magnitudes can get; of products by Cauchy-Schwarz."""
    if len(parts) == 1:
        return terms * float(np.abs(parts[0].astype(float)).max(initial=0.0))
    a, b = (np.square(part.astype(float)) for part in parts[:2])
    columns = b.sum(axis=-2) if b.ndim > 1 else b.sum()
    return float(np.sqrt(a.sum(axis=-1).max() * columns.max()))


class Arithmetic:
    """The other processor: it computes as this one does, then rounds by its seed."""

    def __init__(self, seed: int) -> None:
        self.key = np.uint64(np.random.default_rng(seed).integers(2**63))

    def rounded(
        self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Call the function; multiply what it returns by 1 + u."""
        result = args[0] @ args[1] if name == "@" else function(*args, **kwargs)
        if isinstance(result, tuple) and name in SOLVERS:
            return self._decomposition(name, result)
        if not self._is_float(result):
            return result
        if name in SUMS | PRODUCTS | {"@"}:
            own = getattr(function, "__self__", None)
            parts = [x for x in (own, *args) if type(x) is np.ndarray]
            parts = parts or [np.asarray(x) for x in args[:1] if isinstance(x, list)]
            if parts and self._is_exact(name, parts, result):
                return result
        return self._moved(result, kwargs.get("out"))

    def _is_float(self, x: Any) -> bool:
        """Say whether it is one: an array that counts or traces rounds nothing."""
        if type(x) is np.ndarray:
            return bool(x.dtype.kind == "f" and x.dtype.itemsize in BITS)
        return isinstance(x, float | np.floating)

    def _is_exact(self, name: str, parts: list[Any], result: Any) -> bool:
        """Say whether the order of the terms cannot matter."""
        if name in SUMS:
            terms = parts[0].size / max(1, np.size(result))
        else:
            terms = parts[0].shape[-1] if parts[0].ndim else 1
        if terms < (IN_TURN if name in SUMS - {"norm"} else 2):
            return True
        if name in ("std", "var"):  # they divide before they add
            return False
        most = 2.0 ** (np.finfo(np.asarray(result).dtype).nmant + 1)
        for k in FRACTIONS:
            if all(_is_multiple(part, k) for part in parts):
                return _reach(parts, terms) * 2.0 ** (k * len(parts)) <= most
        return False

    def _drawn(self, x: Any) -> Any:
        """Return numbers in [-1, 1) that depend on the seed and the bits of x alone."""
        mixed = (x.view(BITS[x.dtype.itemsize]).astype(np.uint64) ^ self.key) * MIX
        return (mixed >> np.uint64(11)) * 2.0**-52 - 1

    def _moved(self, x: Any, out: Any = None) -> Any:
        """Multiply by 1 + u, in place where the array is new or the caller's own."""
        if not isinstance(x, np.ndarray):
            return type(x)(self._moved(np.array([x]))[0])
        if out is None and (x.base is not None or not x.flags.forc):
            x = x.copy()
        eps = float(np.finfo(x.dtype).eps)
        with np.errstate(all="ignore"):
            for part in _blocks(x):
                part += part * (eps * self._drawn(part)).astype(x.dtype)
        return x

    def _decomposition(self, name: str, parts: tuple[Any, ...]) -> Any:
        arrays = [self._moved(x) if self._is_float(x) else x for x in parts]
        columns, rows = SIGNED.get(name, (None, None))
        if columns is not None and len(arrays) > max(columns, rows or 0):
            first = np.ascontiguousarray(arrays[columns][..., 0, :])
            sign = np.where(self._drawn(first) < 0, -1, 1).astype(first.dtype)
            arrays[columns] = arrays[columns] * sign[..., None, :]
            if rows is not None:
                k = min(sign.shape[-1], arrays[rows].shape[-2])
                arrays[rows] = arrays[rows].copy()
                arrays[rows][..., :k, :] *= sign[..., :k, None]
        if hasattr(parts, "_fields"):
            return type(parts)(*arrays)
        return tuple(arrays)
