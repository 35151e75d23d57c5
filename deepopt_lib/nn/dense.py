"""A multilayer perceptron."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from deepopt_lib.autodiff.ops.arithmetic import linear, relu
from deepopt_lib.core.types import Params
from deepopt_lib.nn.params import check_sizes, draw_linear, prefixed

__all__ = ["init_mlp", "mlp"]


def init_mlp(
    rng: np.random.Generator,
    sizes: Sequence[int],
    *,
    gain: float = 2.0,
    dtype: Any = np.float64,
) -> Params:
    """Draw the parameters of a multilayer perceptron.

    ``"layer1.W"`` of shape (sizes[0], sizes[1]) with entries N(0, gain/sizes[0]), and
    ``"layer1.b"`` of zeros, and so on. ``gain=2`` is He et al. (2015), eq. 10, for
    relu; ``gain=1`` suits tanh.

    Raises
    ------
    ValueError
        If there are fewer than two sizes, one is not a positive int, or ``gain`` is not
        a finite number >= 0.
    """
    check_sizes("sizes", sizes, at_least=2)
    params: Params = {}
    for i, (n_in, n_out) in enumerate(pairwise(sizes), 1):
        params |= prefixed(f"layer{i}", draw_linear(rng, n_in, n_out, gain, dtype))
    return params


def mlp(params: Any, x: Any, activation: Callable[[Any], Any] = relu) -> Any:
    """Return the logits of a multilayer perceptron: x (batch, n_in) -> (batch, n_out).

    ``activation`` follows every layer but the last. Works on arrays and on the tape.

    Raises
    ------
    ValueError
        If the shape of x is not the one that the parameters were drawn for.
    """
    depth = len(params) // 2
    for i in range(1, depth + 1):
        x = linear(x, params[f"layer{i}.W"], params[f"layer{i}.b"])  # (batch, n_i)
        if i < depth:
            x = activation(x)
    return x
