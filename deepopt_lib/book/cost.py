"""What a computation costs: floating-point operations and bytes, counted as it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Cost", "Counted", "count"]


@dataclass(frozen=True)
class Cost:
    """FLOPs of matrix products and of everything else, and bytes read and written.

    A multiply-add counts as two FLOPs, any other entry as one. ``bytes`` adds up the
    inputs and outputs of every NumPy call, as if nothing stayed in a cache.
    """

    products: int = 0
    elementwise: int = 0
    bytes: int = 0

    @property
    def flops(self) -> int:
        """All floating-point operations."""
        return self.products + self.elementwise

    @property
    def intensity(self) -> float:
        """FLOPs per byte, as if there were no cache.

        Williams et al. (2009) count the bytes that get past the caches.
        """
        return self.flops / self.bytes

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.products + other.products,
            self.elementwise + other.elementwise,
            self.bytes + other.bytes,
        )

    def __sub__(self, other: Cost) -> Cost:
        return self + Cost(-other.products, -other.elementwise, -other.bytes)


class Counted(np.ndarray[Any, np.dtype[Any]]):
    """An array that enters every ufunc it takes part in, ``@`` included, on a bill."""

    bill = Cost()  # of the count in progress

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any
    ) -> Any:
        """Run the ufunc on plain arrays, and count it."""
        # A Python number stays one: as an array it would make float32 float64.
        plain = [a.view(np.ndarray) if isinstance(a, Counted) else a for a in inputs]
        arrays = [np.asarray(a) for a in plain]
        if "out" in options:
            options["out"] = tuple(np.asarray(a) for a in options["out"])
        result = getattr(ufunc, method)(*plain, **options)
        touched = [*arrays, np.asarray(result)]
        if ufunc is np.matmul:  # (m, k) @ (k, n): k multiply-adds per entry
            flops = Cost(products=2 * arrays[0].shape[-1] * touched[-1].size)
        else:
            flops = Cost(elementwise=max(a.size for a in touched))
        Counted.bill += flops + Cost(bytes=sum(a.nbytes for a in touched))
        return result.view(Counted) if isinstance(result, np.ndarray) else result


def count(f: Callable[..., Any], *args: Any) -> tuple[Any, Cost]:
    """Return ``f(*args)`` and its `Cost`.

    Arrays in ``args``, also inside dicts and tuples, are replaced by `Counted` views,
    and the result is plain again. Only ufuncs count (``+``, ``@``, ``np.exp``,
    ``np.sum``); indexing and functions such as ``np.einsum`` do not, nor does a product
    of two arrays that ``f`` makes itself (``np.zeros``; ``np.zeros_like`` counts).
    """
    before, Counted.bill = Counted.bill, Cost()
    try:
        result = f(*_view(args, Counted))
        return _view(result, np.ndarray), Counted.bill
    finally:
        Counted.bill = before


def _view(tree: Any, kind: type[np.ndarray[Any, Any]]) -> Any:
    if isinstance(tree, np.ndarray):
        return tree.view(kind)
    if isinstance(tree, dict):
        return {k: _view(v, kind) for k, v in tree.items()}
    if isinstance(tree, tuple):
        parts = [_view(v, kind) for v in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return tree
