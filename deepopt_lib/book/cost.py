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


PRODUCTS = ("matmul", "vecdot", "matvec", "vecmat")
"""The ufuncs that sum over an axis, the last one of their first argument."""


class Counted(np.ndarray[Any, np.dtype[Any]]):
    """An array that enters every ufunc it takes part in, ``@`` included, on a bill."""

    bill = Cost()  # of the count in progress

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any
    ) -> Any:
        """Run the ufunc on plain arrays, and count it."""
        # A Python number stays one: as an array it would make float32 float64.
        inputs, options = _view(inputs, np.ndarray), _view(options, np.ndarray)
        result = getattr(ufunc, method)(*inputs, **options)
        results = result if isinstance(result, tuple) else (result,)
        where = options.get("where")
        masks = [where] if isinstance(where, np.ndarray) else []
        touched = [np.asarray(a) for a in (*inputs, *masks, *results) if a is not None]
        if ufunc.__name__ in PRODUCTS:  # (m, k) @ (k, n): k multiply-adds per entry
            flops = Cost(products=2 * touched[0].shape[-1] * touched[-1].size)
        else:
            flops = Cost(elementwise=max(a.size for a in touched))
        Counted.bill += flops + Cost(bytes=sum(a.nbytes for a in touched))
        return _view(result, Counted)


def count(f: Callable[..., Any], *args: Any) -> tuple[Any, Cost]:
    """Return ``f(*args)`` and its `Cost`.

    Arrays in ``args``, also inside dicts, tuples and lists, are replaced by `Counted`
    views, and the result is plain again. Only ufuncs count (``+``, ``@``, ``np.exp``,
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
    """Return a tree of anything with its arrays as views of a kind."""
    if isinstance(tree, np.ndarray):
        return tree.view(kind)
    if isinstance(tree, dict):
        return {k: _view(v, kind) for k, v in tree.items()}
    if isinstance(tree, tuple | list):
        parts = [_view(v, kind) for v in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return tree
