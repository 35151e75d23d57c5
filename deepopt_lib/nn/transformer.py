"""Networks that attend: one attention, and one layer of a transformer."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepopt_lib.autodiff.ops.arithmetic import linear, relu
from deepopt_lib.autodiff.ops.arrays import reshape
from deepopt_lib.autodiff.ops.attention import self_attention
from deepopt_lib.autodiff.ops.dropout import dropout
from deepopt_lib.autodiff.ops.normalization import layer_norm
from deepopt_lib.core.checks import check_int
from deepopt_lib.core.shapes import check_shapes
from deepopt_lib.core.types import Params
from deepopt_lib.nn.params import draw_linear, part, prefixed

__all__ = ["attention", "init_attention", "init_transformer_block", "transformer_block"]


def init_attention(
    rng: np.random.Generator, dim: int, *, dtype: Any = np.float64
) -> Params:
    """Draw the parameters of `attention`, whatever the number of heads.

    ``"W"`` (dim, 3*dim) for queries, keys and values side by side, ``"b"``, ``"Wo"``
    (dim, dim), ``"bo"``. Entries N(0, 1/dim), biases 0.

    Raises
    ------
    ValueError
        If ``dim`` is not a positive int.
    """
    check_int("dim", dim)
    fused = draw_linear(rng, dim, 3 * dim, 1.0, dtype)
    output = draw_linear(rng, dim, dim, 1.0, dtype)
    return fused | {"Wo": output["W"], "bo": output["b"]}


def attention(params: Any, x: Any, *, heads: int, causal: bool = False) -> Any:
    """Return multi-head self-attention: Vaswani et al. (2017), section 3.2.

    x (batch, time, dim) -> (batch, time, dim); ``causal`` hides the future. One
    primitive, `self_attention`.

    Raises
    ------
    ValueError
        If the shapes do not fit, or ``heads`` does not divide dim.
    """
    weights = (params[k] for k in ("W", "b", "Wo", "bo"))
    return self_attention(x, *weights, heads=heads, causal=causal)


def init_transformer_block(
    rng: np.random.Generator, dim: int, hidden: int, *, dtype: Any = np.float64
) -> Params:
    """Draw the parameters of `transformer_block`; in the paper hidden = 4*dim.

    ``"attention.*"`` as in `init_attention`, ``"mlp.*"`` as in `init_mlp` for (dim,
    hidden, dim), ``"norm1.g"`` of ones and ``"norm1.b"`` of zeros, and ``"norm2.*"``.

    Raises
    ------
    ValueError
        If ``dim`` or ``hidden`` is not a positive int.
    """
    check_int("hidden", hidden)
    params = prefixed("attention", init_attention(rng, dim, dtype=dtype))
    params |= prefixed("mlp.layer1", draw_linear(rng, dim, hidden, 2.0, dtype))
    params |= prefixed("mlp.layer2", draw_linear(rng, hidden, dim, 1.0, dtype))
    for i in (1, 2):
        norm = {"g": np.ones(dim, dtype), "b": np.zeros(dim, dtype)}
        params |= prefixed(f"norm{i}", norm)
    return params


def transformer_block(
    params: Any,
    x: Any,
    *,
    heads: int,
    causal: bool = False,
    pre_norm: bool = False,
    rate: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Any:
    """Return one layer of a transformer: Vaswani et al. (2017), section 3.1.

    ``x = norm1(x + attention(x))``, then ``norm2(x + mlp(x))`` with the relu network of
    eq. 2. ``pre_norm`` normalizes what enters instead, ``x + attention(norm1(x))``,
    which trains without a warm-up. Dropout of ``rate`` on both branches in training,
    that is, when ``rng`` is given. x (batch, time, dim) -> (batch, time, dim).

    Raises
    ------
    ValueError
        If the shapes do not fit, ``heads`` does not divide dim, or ``rate`` is not in
        [0, 1).
    """
    check_shapes("transformer_block", "x (batch, time, dim)", getattr(x, "value", x))
    shape, dim = x.shape, x.shape[-1]

    def attend(rows: Any) -> Any:
        sequences = reshape(rows, shape=shape)
        weights = part(params, "attention")
        return reshape(
            attention(weights, sequences, heads=heads, causal=causal), shape=(-1, dim)
        )

    def feed_forward(rows: Any) -> Any:
        w = part(params, "mlp")
        hidden = relu(linear(rows, w["layer1.W"], w["layer1.b"]))  # (rows, hidden)
        return linear(hidden, w["layer2.W"], w["layer2.b"])  # (rows, dim)

    rows = reshape(x, shape=(-1, dim))  # (batch*time, dim)
    for i, branch in enumerate((attend, feed_forward), 1):
        g, b = params[f"norm{i}.g"], params[f"norm{i}.b"]
        out = branch(layer_norm(rows, g, b) if pre_norm else rows)
        rows = rows + dropout(out, rate=rate, rng=rng)
        if not pre_norm:
            rows = layer_norm(rows, g, b)
    return reshape(rows, shape=shape)
