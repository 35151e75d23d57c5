"""float16 goes in and comes out; sums and exponentials happen in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["at_least_float32", "back_to"]


def at_least_float32(a: Any) -> Any:
    """Return an array of float32 or float64: what is neither becomes one of them.

    float16 ends at 65,504 and exp(11), and has no more than 2,049 whole numbers in a
    row: too little for a sum of squares, of exponentials or of many samples. In place,
    a mean of whole numbers would be one too.
    """
    if a.dtype.kind == "f" and a.dtype.itemsize >= 4:
        return a
    return a.astype(np.result_type(a, np.float32))


def back_to(dtype: Any, out: Any) -> Any:
    """Return ``out`` rounded to float16, if that is the dtype of what came in."""
    return out.astype(dtype) if dtype == np.float16 else out
