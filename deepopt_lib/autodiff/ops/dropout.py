"""Dropout, from a generator that the caller holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepopt_lib.autodiff.ops.precision import at_least_float32, back_to
from deepopt_lib.autodiff.tape import Result, primitive
from deepopt_lib.core.checks import check_number

__all__ = ["dropout"]


@primitive
def dropout(x: Any, *, rate: float, rng: np.random.Generator | None) -> Result:
    """Set each entry to 0 with probability ``rate``, in training.

    Srivastava et al. (2014), in the variant that divides the kept entries by
    ``1 - rate`` at once, so that evaluation needs no factor: there ``rng`` is None, and
    x is returned as it is. The same generator state gives the same mask in float32 and
    float64.

    Raises
    ------
    ValueError
        If ``rate`` is not in [0, 1), or ``rng`` is something else.
    """
    rate = check_number("rate", rate, 0, 1)
    if rng is None:
        return x, (lambda d: d,)
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a numpy Generator or None, got {rng!r}")
    kept = rng.random(np.shape(x), dtype=np.float32) >= rate
    factor = kept * np.asarray(1 / (1 - rate), at_least_float32(x).dtype)
    return back_to(x.dtype, x * factor), (lambda d: d * factor,)
