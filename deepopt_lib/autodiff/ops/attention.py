"""Multi-head self-attention as one primitive: three products in, one out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepopt_lib.autodiff.ops.precision import at_least_float32, back_to
from deepopt_lib.autodiff.tape import Result, Shared, primitive
from deepopt_lib.core.checks import check_int
from deepopt_lib.core.products import matmul
from deepopt_lib.core.shapes import check_shapes

__all__ = ["online_attention", "self_attention"]

CACHE = 2**16  # numbers of a block of scores: a quarter of a megabyte in float32
SAFE = 30.0  # between exp(-30) and exp(30), float32 keeps its relative precision


@primitive
def self_attention(
    x: Any, W: Any, b: Any, Wo: Any, bo: Any, *, heads: int, causal: bool = False
) -> Result:
    """Let every position of a sequence look at all: Vaswani et al. (2017), section 3.2.

    ``attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V`` (eq. 1) for each head, with
    Q, K, V = the thirds of ``x @ W + b`` and d_k = dim/heads; the heads side by side go
    through ``@ Wo + bo``. ``causal``: position i sees 0 .. i only (section 3.2.3).

    x (batch, time, dim), W (dim, 3*dim), b (3*dim,), Wo (dim, dim), bo (dim,) ->
    (batch, time, dim). Keeps heads*time numbers a position for the backward pass.
    float16 is computed in float32: scores beyond 65,504 are common.

    Raises
    ------
    ValueError
        If the shapes do not fit, or ``heads`` is not an int >= 1 that divides dim.
    """
    wanted = (
        "x (batch, time, dim), W (dim, 3*dim), b (3*dim,), Wo (dim, dim), bo (dim,)"
    )
    check_shapes("self_attention", wanted, x, W, b, Wo, bo)
    batch, time, dim = x.shape
    if dim % check_int("heads", heads):
        raise ValueError(f"heads must divide dim = {dim}, got {heads}")
    dtype = np.result_type(x, W, Wo)
    x, W, b, Wo, bo = (at_least_float32(a) for a in (x, W, b, Wo, bo))
    scale = 1 / math.sqrt(dim // heads)
    rows = x.reshape(-1, dim)
    z = matmul(rows, W)
    z += b
    z[:, :dim] *= scale
    q, k, v = _heads(z, x.shape, heads)
    o = np.empty_like(z, shape=x.shape)
    o_heads = _heads(o, x.shape, heads)[0]
    # The softmax is e/total. Dividing o instead of e costs time/d_k times less.
    e = np.empty((batch, heads, time, time), z.dtype)
    total = np.empty((batch, heads, time, 1), z.dtype)
    future = np.triu(np.full((time, time), -np.inf, z.dtype), 1) if causal else None
    blocks = _blocks(batch, heads * time * time)
    for i in blocks:
        scores = matmul(q[i], k[i].mT, out=e[i])
        _exp(scores, future)
        matmul(scores, np.ones((time, 1), z.dtype), out=total[i])
        matmul(scores, v[i], out=o_heads[i])
        o_heads[i] /= total[i]
    out = matmul(o.reshape(-1, dim), Wo)
    out += bo

    @Shared
    def pull_z(d: Any) -> Any:
        """Return the cotangent of z."""
        do = matmul(d.reshape(-1, dim), Wo.T)
        terms = (do * o.reshape(-1, dim)).reshape(-1, dim // heads)
        ones = np.ones((dim // heads, 1), terms.dtype)
        dot = matmul(terms, ones)  # sum_j p_j dp_j of each row
        dot = dot.reshape(batch, time, heads, 1).swapaxes(1, 2) / total
        do = _heads(do, x.shape, heads)[0]
        do /= total
        dz = np.empty(z.shape, np.result_type(do, z))
        dq, dk, dv = _heads(dz, x.shape, heads)
        for i in blocks:
            de = matmul(do[i], v[i].mT)
            de -= dot[i]
            de *= e[i]
            matmul(e[i].mT, do[i], out=dv[i])
            matmul(de, k[i], out=dq[i])
            matmul(de.mT, q[i], out=dk[i])
        dz[:, :dim] *= scale
        return dz

    return back_to(dtype, out.reshape(x.shape)), (
        lambda d: matmul(pull_z(d), W.T).reshape(x.shape),
        lambda d: matmul(rows.T, pull_z(d)),
        lambda d: np.add.reduce(pull_z(d), axis=0),
        lambda d: matmul(o.reshape(-1, dim).T, d.reshape(-1, dim)),
        lambda d: np.add.reduce(d.reshape(-1, dim), axis=0),
    )


def online_attention(q: Any, k: Any, v: Any, *, block: int) -> Any:
    """Return ``softmax(q k^T / sqrt(d_k)) v``, with ``block`` scores a query at a time.

    The *online softmax* of Milakov and Gimelshein (2018), algorithm 3, carried over to
    the weighted sum by Rabe and Staats (2021) and Dao et al. (2022), algorithm 1. Of
    each row of scores it keeps the maximum m so far, the total of exp(score - m), and
    the sum of v with these weights; a larger maximum shrinks the last two. Exact up to
    rounding, float16 in float32. q (..., queries, d_k), k (..., time, d_k),
    v (..., time, d) -> (..., queries, d).

    Raises
    ------
    ValueError
        If the shapes do not fit, or ``block`` is not an int >= 1.
    """
    wanted = "q (..., queries, d_k), k (..., time, d_k), v (..., time, d)"
    check_shapes("online_attention", wanted, q, k, v)
    check_int("block", block)
    dtype = np.result_type(q, k, v)
    scaled = at_least_float32(q) / math.sqrt(q.shape[-1])
    m = np.full((*q.shape[:-1], 1), -np.inf, scaled.dtype)
    total = np.zeros_like(m)
    out = np.zeros((*q.shape[:-1], v.shape[-1]), scaled.dtype)
    for i in range(0, k.shape[-2], block):
        scores = matmul(scaled, k[..., i : i + block, :].mT)
        larger = np.maximum(m, scores.max(axis=-1, keepdims=True))
        shrink = np.exp(m - larger)
        scores -= larger
        np.exp(scores, out=scores)
        total = total * shrink + scores.sum(axis=-1, keepdims=True)
        out = out * shrink + matmul(scores, v[..., i : i + block, :])
        m = larger
    return back_to(dtype, out / total)


def _heads(a: Any, shape: tuple[int, ...], heads: int) -> Any:
    """Return views (parts, batch, heads, time, dim/heads) of a (batch*time, ...)."""
    batch, time, dim = shape
    parts = a.shape[-1] // dim
    split = a.reshape(batch, time, parts, heads, dim // heads)
    return split.transpose(2, 0, 3, 1, 4)


def _blocks(batch: int, size: int) -> list[slice]:
    """Cut the batch so that the scores of a block stay in the cache."""
    step = max(1, CACHE // max(size, 1))
    return [slice(i, i + step) for i in range(0, batch, step)]


def _exp(scores: Any, future: Any) -> None:
    """Compute exp of the scores in place, each row shifted if that is needed.

    A softmax does not see a shift. Without one, small scores save a pass for the rows'
    maxima; the others would overflow.
    """
    safe = np.max(scores, initial=0) < SAFE and np.min(scores, initial=0) > -SAFE
    if future is not None:
        scores += future
    if not safe:
        scores -= np.max(scores, axis=-1, keepdims=True)
    np.exp(scores, out=scores)
