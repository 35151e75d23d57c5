"""Causal attention with rotated positions and shared keys, as one primitive."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from deepopt_lib.autodiff.ops.precision import at_least_float32, back_to
from deepopt_lib.autodiff.tape import Result, primitive
from deepopt_lib.core.checks import check_int
from deepopt_lib.core.products import matmul
from deepopt_lib.core.shapes import check_shapes

__all__ = ["rotary_attention", "rotate"]

CACHE = 2**16  # numbers of a block of scores: a quarter of a megabyte in float32
BASE = 10_000.0  # of the wavelengths of the rotations: Su et al. (2021), section 3.2.2


@functools.cache
def _angles(start: int, time: int, half: int, dtype: str) -> tuple[Any, Any]:
    """Return cosines and sines of the positions from ``start`` on, (time, half)."""
    frequency = BASE ** (-np.arange(half) / half)
    angle = np.arange(start, start + time)[:, None] * frequency
    cos, sin = np.cos(angle).astype(dtype), np.sin(angle).astype(dtype)
    cos.flags.writeable = sin.flags.writeable = False
    return cos, sin


def rotate(x: Any, start: int = 0, back: bool = False) -> Any:
    """Turn the pairs of each position by angles that grow with it (RoPE).

    Su et al. (2021), eq. 34: features i and i + d/2 are the coordinates of a point,
    turned by ``position * 10000^(-2i/d)``; so a product of a query and a key depends on
    their distance alone. x (..., time, d) at the positions start, start + 1, ...;
    ``back`` turns the other way, which is the inverse and the transpose.

    Raises
    ------
    ValueError
        If d is odd, or ``start`` is not an int >= 0.
    """
    check_shapes("rotate", "x (..., time, 2*half)", x)
    check_int("start", start, 0)
    half = x.shape[-1] // 2
    cos, sin = _angles(start, x.shape[-2], half, str(np.result_type(x)))
    a, b = x[..., :half], x[..., half:]
    sign = -1 if back else 1
    out = np.empty(x.shape, x.dtype)
    np.subtract(a * cos, b * (sign * sin), out=out[..., :half])
    np.add(b * cos, a * (sign * sin), out=out[..., half:])
    return out


@primitive
def rotary_attention(z: Any, *, time: int, heads: int, groups: int) -> Result:
    """Attend to the past with rotated queries and shared keys.

    Causal attention (Vaswani et al. 2017, eq. 1) with `rotate` on queries and keys, and
    of ``groups`` keys and values each shared by heads/groups heads (Ainslie et al.
    2023): groups = heads is the usual attention, groups = 1 has one for all.

    z (batch*time, (heads + 2*groups)*d) has queries, keys and values side by side; ->
    (batch*time, heads*d).

    Raises
    ------
    ValueError
        If the shapes do not fit, or ``groups`` does not divide ``heads``.
    """
    check_shapes("rotary_attention", "z (rows, features)", z)
    check_int("time", time)
    if check_int("heads", heads) % check_int("groups", groups):
        raise ValueError(f"groups must divide heads = {heads}, got {groups}")
    parts = heads + 2 * groups
    if z.shape[0] % time or z.shape[1] % (2 * parts):
        raise ValueError(
            f"rotary_attention needs z (batch*{time}, 2*half*{parts}), got {z.shape}"
        )
    d = z.shape[1] // parts
    shared = heads // groups
    dtype, z = z.dtype, at_least_float32(z)
    scale = 1 / math.sqrt(d)
    by_head = z.reshape(-1, time, parts, d).swapaxes(1, 2)  # (batch, parts, time, d)
    q = rotate(by_head[:, :heads])
    q *= scale
    # The queries that share a key stand below each other: (batch, groups, rows, d).
    q = q.reshape(-1, groups, shared * time, d)
    k = rotate(by_head[:, heads : heads + groups])
    v = by_head[:, heads + groups :]
    e = np.empty((*q.shape[:3], time), z.dtype)
    o, total = np.empty(q.shape, z.dtype), np.empty((*q.shape[:3], 1), z.dtype)
    future = np.triu(np.full((time, time), -np.inf, z.dtype), 1)
    future = np.tile(future, (shared, 1))
    step = max(1, CACHE // (heads * time * time))
    cuts = [slice(i, i + step) for i in range(0, len(q), step)]
    ones = np.ones((time, 1), z.dtype)
    for i in cuts:
        scores = matmul(q[i], k[i].mT, out=e[i])
        scores += future
        scores -= np.max(scores, axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        matmul(e[i], ones, out=total[i])
        matmul(e[i], v[i], out=o[i])
        o[i] /= total[i]
    out = _side_by_side(o.reshape(-1, heads, time, d))

    def pull(cotangent: Any) -> Any:
        do = cotangent.reshape(-1, time, heads, d).swapaxes(1, 2).reshape(q.shape)
        dot = np.add.reduce(do * o, axis=-1, keepdims=True)
        do = do / total
        dot /= total
        dz = np.empty(z.shape, np.result_type(cotangent, z))
        dz_by_head = dz.reshape(-1, time, parts, d).swapaxes(1, 2)
        dv = dz_by_head[:, heads + groups :]
        dq, dk = np.empty(q.shape, dz.dtype), np.empty(k.shape, dz.dtype)
        for i in cuts:
            de = matmul(do[i], v[i].mT)
            de -= dot[i]
            de *= e[i]
            dv[i] = matmul(e[i].mT, do[i])
            matmul(de, k[i], out=dq[i])
            matmul(de.mT, q[i], out=dk[i])
        dq *= scale
        dz_by_head[:, :heads] = rotate(dq.reshape(-1, heads, time, d), back=True)
        dz_by_head[:, heads : heads + groups] = rotate(dk, back=True)
        return dz

    return back_to(dtype, out), (pull,)


def _side_by_side(a: Any) -> Any:
    """Return (batch, heads, time, d) as (batch*time, heads*d)."""
    batch, heads, time, d = a.shape
    return a.swapaxes(1, 2).reshape(batch * time, heads * d)
