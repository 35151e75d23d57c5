"""Named parameters: how they are drawn, put under a prefix, and found there again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from deepopt_lib.core.checks import is_int
from deepopt_lib.core.types import Params

__all__ = ["draw_linear", "part", "prefixed"]


def check_sizes(name: str, sizes: Any, at_least: int) -> None:
    """Raise unless ``sizes`` are ``at_least`` or more positive ints."""
    counts = {1: "one or more", 2: "two or more", 3: "three or more"}
    if len(sizes) < at_least or any(not is_int(n) or n < 1 for n in sizes):
        raise ValueError(
            f"{name} must be {counts[at_least]} positive ints, got {list(sizes)}"
        )


def draw_linear(
    rng: np.random.Generator, n_in: int, n_out: int, gain: float, dtype: Any
) -> Params:
    """Draw ``W`` (n_in, n_out) with entries N(0, gain/n_in), and ``b`` of zeros.

    He et al. (2015), eq. 10, with gain 2 for layers before a relu; gain 1 keeps the
    variance of linear layers and suits tanh.
    """
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
