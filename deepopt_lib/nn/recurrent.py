"""Recurrent networks over sequences (batch, time, n_in)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from deepopt_lib.autodiff.ops.arithmetic import linear
from deepopt_lib.autodiff.ops.arrays import reshape
from deepopt_lib.autodiff.ops.gated import gru_layer, lstm_layer
from deepopt_lib.autodiff.ops.recurrent import rnn_layer
from deepopt_lib.core.types import Params
from deepopt_lib.nn.params import check_sizes, draw_linear, prefixed

__all__ = ["gru", "init_gru", "init_lstm", "init_rnn", "lstm", "rnn"]


def _init_recurrent(
    rng: np.random.Generator, sizes: Sequence[int], gates: int, dtype: Any
) -> Params:
    """Draw the layers and the output, with entries N(0, 1/n_in) and N(0, 1/n)."""
    check_sizes("sizes", sizes, at_least=3)
    params: Params = {}
    for i, (n_in, n) in enumerate(pairwise(sizes[:-1]), 1):
        layer = draw_linear(rng, n_in, gates * n, 1.0, dtype)
        layer["U"] = draw_linear(rng, n, gates * n, 1.0, dtype)["W"]
        params |= prefixed(f"layer{i}", layer)
    output = draw_linear(rng, sizes[-2], sizes[-1], 1.0, dtype)
    return params | prefixed("out", output)


def init_rnn(
    rng: np.random.Generator, sizes: Sequence[int], *, dtype: Any = np.float64
) -> Params:
    """Draw the parameters of `rnn`: sizes = (n_in, n of each layer, n_out).

    ``"layer1.W"`` (n_in, n), ``"layer1.b"`` (n,), ``"layer1.U"`` (n, n), and so on;
    ``"out.W"`` (n, n_out), ``"out.b"``. Entries N(0, 1/rows), biases 0.

    Raises
    ------
    ValueError
        If there are fewer than three sizes, or one is not a positive int.
    """
    return _init_recurrent(rng, sizes, 1, dtype)


def init_lstm(
    rng: np.random.Generator, sizes: Sequence[int], *, dtype: Any = np.float64
) -> Params:
    """Draw the parameters of `lstm`: as `init_rnn`, for four gates.

    The bias of the forget gate is 1 (Gers et al. 2000), so that the memory is kept at
    the start; the others are 0.

    Raises
    ------
    ValueError
        If there are fewer than three sizes, or one is not a positive int.
    """
    params = _init_recurrent(rng, sizes, 4, dtype)
    for i, n in enumerate(sizes[1:-1], 1):
        params[f"layer{i}.b"][n : 2 * n] = 1.0
    return params


def init_gru(
    rng: np.random.Generator, sizes: Sequence[int], *, dtype: Any = np.float64
) -> Params:
    """Draw the parameters of `gru`: as `init_rnn`, for three gates.

    ``"layer1.b_new"`` (n,) of zeros is the bias that the reset gate multiplies.

    Raises
    ------
    ValueError
        If there are fewer than three sizes, or one is not a positive int.
    """
    params = _init_recurrent(rng, sizes, 3, dtype)
    for i, n in enumerate(sizes[1:-1], 1):
        params[f"layer{i}.b_new"] = np.zeros(n, dtype)
    return params


def _recurrent(
    layer: Callable[..., Any], names: str, params: Any, x: Any, every: bool
) -> Any:
    """Run the layers, then the output on the last state, or on every one."""
    i = 1
    while f"layer{i}.W" in params:
        x = layer(x, *(params[f"layer{i}.{k}"] for k in names.split()))
        i += 1
    batch, time, n = x.shape
    if not time:
        raise ValueError(f"a sequence needs a step or more, got states {x.shape}")
    if not every:
        return linear(x[:, -1], params["out.W"], params["out.b"])  # (batch, n_out)
    rows = reshape(x, shape=(batch * time, n))
    out = linear(rows, params["out.W"], params["out.b"])
    return reshape(out, shape=(batch, time, -1))


def rnn(params: Any, x: Any, *, every: bool = False) -> Any:
    """Return the output of a simple recurrent network: Elman (1990), with tanh.

    x (batch, time, n_in) -> (batch, n_out) from the last state, or, with ``every``,
    (batch, time, n_out) from each. Layers are stacked; the state starts at 0.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a sequence is empty.
    """
    return _recurrent(rnn_layer, "W U b", params, x, every)


def lstm(params: Any, x: Any, *, every: bool = False) -> Any:
    """Return the output of an LSTM: Hochreiter, Schmidhuber (1997), see `lstm_layer`.

    x (batch, time, n_in) -> (batch, n_out) from the last state, or, with ``every``,
    (batch, time, n_out) from each. Layers are stacked; both states start at 0.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a sequence is empty.
    """
    return _recurrent(lstm_layer, "W U b", params, x, every)


def gru(params: Any, x: Any, *, every: bool = False) -> Any:
    """Return the output of a GRU: Cho et al. (2014), see `gru_layer` for the variant.

    x (batch, time, n_in) -> (batch, n_out) from the last state, or, with ``every``,
    (batch, time, n_out) from each. Layers are stacked; the state starts at 0.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a sequence is empty.
    """
    return _recurrent(gru_layer, "W U b b_new", params, x, every)
