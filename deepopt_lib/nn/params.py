"""Named parameters: how they are drawn, put under a prefix, and found there again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from deepopt_lib.core.checks import check_int, check_number
from deepopt_lib.core.types import Params

__all__ = ["draw_linear", "part", "prefixed"]


def check_sizes(name: str, sizes: Any, at_least: int) -> None:
    """Raise unless ``sizes`` are ``at_least`` or more positive ints."""
    if len(sizes) < at_least:
        raise ValueError(f"{name} must be {at_least} ints or more, got {list(sizes)}")
    for i, n in enumerate(sizes):
        check_int(f"{name}[{i}]", n)


def draw_linear(
    rng: np.random.Generator, n_in: int, n_out: int, gain: float, dtype: Any
) -> Params:
    """Draw ``W`` (n_in, n_out) with entries N(0, gain/n_in), and ``b`` of zeros.

    He et al. (2015), eq. 10, with gain 2 for layers before a relu; gain 1 keeps the
    variance of linear layers and suits tanh.

    Raises
    ------
    ValueError
        If a size is not a positive int, or ``gain`` is not a finite number >= 0.
    """
    check_int("n_in", n_in)
    check_int("n_out", n_out)
    gain = check_number("gain", gain, 0)
    W = rng.standard_normal((n_in, n_out)) * np.sqrt(gain / n_in)
    return {"W": W.astype(dtype), "b": np.zeros(n_out, dtype)}


def prefixed(prefix: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same parameters under the names ``prefix.name``."""
    return {f"{prefix}.{k}": w for k, w in params.items()}


def part(params: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the parameters named ``prefix.name`` under ``name``, arrays or recorded.

    Raises
    ------
    ValueError
        If there are none.
    """
    start = f"{prefix}."
    found = {k[len(start) :]: w for k, w in params.items() if k.startswith(start)}
    if not found:
        raise ValueError(f"no parameter is named {start}*, there are {list(params)}")
    return found
