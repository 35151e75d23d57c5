"""The softmax's primitives: its logarithm, and the loss of a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepopt_lib.autodiff.tape import Result, primitive

__all__ = ["cross_entropy", "log_softmax"]


@primitive
def log_softmax(a: Any) -> Result:
    """Compute ``a - log(sum(exp(a)))`` over the last axis."""
    shifted = a - np.max(a, axis=-1, keepdims=True)
    out = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return out, (lambda d: d - np.exp(out) * np.sum(d, axis=-1, keepdims=True),)


@primitive
def cross_entropy(logits: Any, labels: Any) -> Result:
    """Compute the mean of ``-log softmax(logits)[label]`` over a batch.

    logits (batch, classes), labels (batch,) of ints. The derivative is
    ``(softmax - onehot) / batch``. The largest logit is subtracted first, so that no
    exponential overflows.
    """
    labels = np.asarray(labels)
    if np.ndim(logits) != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            "cross_entropy needs logits (batch, classes), labels (batch,), "
            f"got {np.shape(logits)} and {labels.shape}"
        )
    classes = logits.shape[1]
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(f"labels must be in [0, {classes}), got {np.unique(labels)}")
    rows = np.arange(len(labels))
    shifted = logits - np.maximum.reduce(logits, axis=1, keepdims=True)
    e = np.exp(shifted)
    total = np.add.reduce(e, axis=1, keepdims=True)
    losses = np.log(total[:, 0]) - shifted[rows, labels]
    out = np.add.reduce(losses) / max(len(losses), 1)

    def pull(d: Any) -> Any:
        p = e / total
        p[rows, labels] -= 1
        return p * (d / len(labels))

    return out, (pull, None)
