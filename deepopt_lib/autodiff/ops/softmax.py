"""The softmax's primitives: its logarithm, and the loss of a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepopt_lib.autodiff.ops.precision import at_least_float32, back_to
from deepopt_lib.autodiff.tape import Result, primitive
from deepopt_lib.core.shapes import check_indices, check_shapes

__all__ = ["cross_entropy", "log_softmax"]


@primitive
def log_softmax(a: Any) -> Result:
    """Compute ``a - log(sum(exp(a)))`` over the last axis.

    The largest entry of each row is subtracted first, so that no exponential overflows.
    float16 is computed in float32.

    Raises
    ------
    ValueError
        If ``a`` has no axis, or its last one is empty.
    """
    check_shapes("log_softmax", "a (..., classes)", a)
    wide = at_least_float32(a)
    shifted = wide - np.max(wide, axis=-1, keepdims=True)
    out = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return back_to(a.dtype, out), (
        lambda d: d - np.exp(out) * np.sum(d, axis=-1, keepdims=True),
    )


@primitive
def cross_entropy(logits: Any, labels: Any) -> Result:
    """Compute the mean of ``-log softmax(logits)[label]`` over a batch.

    logits (batch, classes), labels (batch,) of ints. The derivative is
    ``(softmax - onehot) / batch``. The largest logit is subtracted first, so that no
    exponential overflows. Of float16 logits the loss is float32; of none it is 0.

    Raises
    ------
    ValueError
        If the shapes do not fit, or the labels are not ints in [0, classes).
    """
    wanted = "logits (batch, classes), labels (batch,)"
    check_shapes("cross_entropy", wanted, logits, labels)
    labels = check_indices("labels", labels, logits.shape[1])
    logits = at_least_float32(logits)
    n = len(labels) or 1
    shifted = np.subtract(logits, _largest(logits), order="C")
    at = np.arange(len(labels)) * shifted.shape[1] + labels.astype(np.intp)  # flat
    e = np.exp(shifted)
    total = np.add.reduce(e, axis=1, keepdims=True)
    losses = np.log(total[:, 0]) - shifted.reshape(-1)[at]

    def pull(d: Any) -> Any:
        p = e / total
        p.reshape(-1)[at] -= 1
        return p * (d / n)

    return np.add.reduce(losses) / n, (pull, None)


def _largest(a: Any) -> Any:
    """Return the largest entry of each row of a (rows, n), as (rows, 1).

    NumPy takes rows one by one, and columns with whole vectors: of short rows it pays
    to make columns first.
    """
    if a.shape[1] <= 32:
        a = a.copy("F")
    return np.maximum.reduce(a, axis=1, keepdims=True)
