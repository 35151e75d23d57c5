"""Two small parts of today's language models: RMSNorm and SwiGLU."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepopt_lib.autodiff.ops.precision import at_least_float32, back_to
from deepopt_lib.autodiff.tape import Result, primitive
from deepopt_lib.core.checks import check_number
from deepopt_lib.core.products import matmul
from deepopt_lib.core.shapes import check_shapes

__all__ = ["rms_norm", "swiglu"]


@primitive
def rms_norm(x: Any, g: Any, *, eps: float = 1e-5) -> Result:
    """Divide each sample by its root mean square: Zhang, Sennrich (2019), eq. 4.

    ``g * x / sqrt(mean(x^2) + eps)`` over the last axis: `layer_norm` without its mean
    and its shift. x (..., n), g (n,) -> (..., n). float16 is computed in float32.

    Raises
    ------
    ValueError
        If the shapes do not fit, or ``eps`` is not a finite number >= 0.
    """
    check_shapes("rms_norm", "x (..., n), g (n,)", x, g)
    eps = check_number("eps", eps, 0)
    dtype = np.result_type(x, g)
    rows = at_least_float32(x).reshape(-1, x.shape[-1])
    share = np.full((rows.shape[1], 1), 1 / max(rows.shape[1], 1), rows.dtype)
    inverse = 1 / np.sqrt(matmul(rows * rows, share) + eps)
    unit = rows * inverse

    def pull_x(d: Any) -> Any:
        dx = d.reshape(rows.shape) * g
        dx -= unit * matmul(dx * unit, share)
        dx *= inverse
        return dx.reshape(x.shape)

    return back_to(dtype, (unit * g).reshape(x.shape)), (
        pull_x,
        lambda d: np.add.reduce(d.reshape(rows.shape) * unit, axis=0),
    )


@primitive
def swiglu(z: Any) -> Result:
    """Gate one half of the features by the other: Shazeer (2020), eq. 5.

    ``a * sigmoid(a) * b`` with z = [a, b] (..., 2*n) -> (..., n). The two products
    before it are one product of twice the width.

    Raises
    ------
    ValueError
        If the last axis is not even.
    """
    check_shapes("swiglu", "z (..., 2*n)", z)
    n = z.shape[-1] // 2
    a, b = z[..., :n], z[..., n:]
    gate = 1 / (1 + np.exp(-a))
    swish = a * gate

    def pull(d: Any) -> Any:
        dz = np.empty(z.shape, np.result_type(d, z))
        da, db = dz[..., :n], dz[..., n:]
        np.multiply(d, swish, out=db)
        np.subtract(1, gate, out=da)  # the derivative of a*sigmoid(a) is
        da *= swish
        da += gate  # gate + swish * (1 - gate)
        da *= b
        da *= d
        return dz

    return swish * b, (pull,)
