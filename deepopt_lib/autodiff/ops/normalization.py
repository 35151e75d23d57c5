"""Layer and batch normalization."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from deepopt_lib.autodiff.ops.precision import at_least_float32, back_to
from deepopt_lib.autodiff.tape import Result, Shared, Var, primitive
from deepopt_lib.core.checks import check_number
from deepopt_lib.core.products import matmul
from deepopt_lib.core.shapes import check_shapes
from deepopt_lib.core.types import Array

__all__ = [
    "Statistics",
    "batch_norm",
    "layer_norm",
    "running_statistics",
]


class Statistics(NamedTuple):
    """Mean and variance of each feature, (n,) and (n,)."""

    mean: Array
    var: Array


def _row_mean(a: Any) -> Any:
    """Return the mean of each row, (rows, 1), as a product: faster than a reduction."""
    return matmul(a, np.full((a.shape[1], 1), 1 / max(a.shape[1], 1), a.dtype))


@primitive
def layer_norm(x: Any, g: Any, b: Any, *, eps: float = 1e-5) -> Result:
    """Normalize each sample over its features: Ba, Kiros, Hinton (2016), eq. 3.

    ``g * (x - mean) / sqrt(var + eps) + b`` with the mean and the (biased) variance of
    the last axis. x (..., n), g (n,), b (n,) -> (..., n). float16 is computed in
    float32.

    Raises
    ------
    ValueError
        If the shapes do not fit, or ``eps`` is not a finite number >= 0.
    """
    check_shapes("layer_norm", "x (..., n), g (n,), b (n,)", x, g, b)
    eps = check_number("eps", eps, 0)
    dtype = np.result_type(x, g)
    rows = at_least_float32(x).reshape(-1, x.shape[-1])
    # Less the first entry first: of equal ones nothing is left for the mean to round.
    unit = rows - rows[:, :1]
    unit -= _row_mean(unit)
    inverse = 1 / np.sqrt(_row_mean(unit * unit) + eps)
    unit *= inverse
    out = unit * g
    out += b

    def pull_x(d: Any) -> Any:
        dx = d.reshape(rows.shape) * g
        along = unit * _row_mean(dx * unit)
        dx -= _row_mean(dx)
        dx -= along
        dx *= inverse
        return dx.reshape(x.shape)

    return back_to(dtype, out.reshape(x.shape)), (
        pull_x,
        lambda d: np.add.reduce(d.reshape(rows.shape) * unit, axis=0),
        lambda d: np.add.reduce(d.reshape(rows.shape), axis=0),
    )


def _moments(rows: Any) -> Statistics:
    """Return mean and biased variance of each column."""
    centered = rows - rows[0]  # as in `layer_norm`
    shift = np.add.reduce(centered, axis=0) / len(rows)
    centered -= shift
    var = np.add.reduce(centered * centered, axis=0) / len(rows)
    return Statistics(rows[0] + shift, var)


@primitive
def batch_norm(
    x: Any,
    g: Any,
    b: Any,
    *,
    statistics: tuple[Array, Array] | None = None,
    eps: float = 1e-5,
) -> Result:
    """Normalize each feature over the batch: Ioffe, Szegedy (2015), Algorithm 1.

    ``g * (x - mean) / sqrt(var + eps) + b`` with the mean and the (biased) variance
    over all axes but the last, of this batch; or, given ``statistics`` (see
    `running_statistics`), with those, as fixed numbers: Algorithm 2, for evaluation.
    x (..., n), g (n,), b (n,) -> (..., n). float16 is computed in float32.

    Raises
    ------
    ValueError
        If the shapes do not fit, the batch is empty, or ``eps`` is not a finite number
        >= 0.
    """
    check_shapes("batch_norm", "x (..., n), g (n,), b (n,)", x, g, b)
    eps = check_number("eps", eps, 0)
    dtype = np.result_type(x, g)
    rows = at_least_float32(x).reshape(-1, x.shape[-1])
    if statistics is None:
        if not len(rows):
            raise ValueError(f"batch_norm needs a sample or more, got shape {x.shape}")
        mean, var = _moments(rows)
    else:
        mean, var = (np.asarray(a, rows.dtype) for a in statistics)
        check_shapes("batch_norm", "g (n,), mean (n,), var (n,)", g, mean, var)
    inverse = 1 / np.sqrt(var + eps)
    unit = rows - mean
    unit *= inverse
    out = unit * g
    out += b

    @Shared
    def sums(d: Any) -> tuple[Any, Any]:
        d = d.reshape(rows.shape)
        return np.add.reduce(d, axis=0), np.add.reduce(d * unit, axis=0)

    def pull_x(d: Any) -> Any:
        dx = d.reshape(rows.shape)
        if statistics is None:
            db, dg = sums(d)
            dx = dx - db / len(rows) - unit * (dg / len(rows))
        return (dx * (g * inverse)).reshape(x.shape)

    return back_to(dtype, out.reshape(x.shape)), (
        pull_x,
        lambda d: sums(d)[1],
        lambda d: sums(d)[0],
    )


def running_statistics(x: Any, running: Statistics, mu: float = 0.9) -> Statistics:
    """Return ``mu * running + (1 - mu) * (those of x)``, for use in evaluation.

    Ioffe, Szegedy (2015), Algorithm 2, with an exponential mean in place of one over
    many batches; x (..., n) is what `batch_norm` normalized, recorded or not. The
    variance is the unbiased one, m/(m-1) times that of the batch. Start from
    ``Statistics(zeros(n), ones(n))``.

    Raises
    ------
    ValueError
        If the shapes do not fit, there are fewer than two samples, or ``mu`` is not in
        [0, 1).
    """
    value = x.value if isinstance(x, Var) else x
    check_shapes(
        "running_statistics", "x (..., n), mean (n,), var (n,)", value, *running
    )
    mu = check_number("mu", mu, 0, 1)
    rows = at_least_float32(value).reshape(-1, value.shape[-1])
    if len(rows) < 2:
        raise ValueError(
            f"running_statistics needs two samples or more, got shape {value.shape}"
        )
    mean, var = _moments(rows)
    var = var * (len(rows) / (len(rows) - 1))
    return Statistics(
        mu * running.mean + (1 - mu) * mean, mu * running.var + (1 - mu) * var
    )
