"""Loss functions: scalars made of the tape's primitives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepopt_lib.autodiff.ops.arrays import mean, sum
from deepopt_lib.autodiff.ops.softmax import log_softmax
from deepopt_lib.core.checks import check_number
from deepopt_lib.core.shapes import check_indices, check_shapes

__all__ = ["accuracy", "distillation", "mse"]


def mse(prediction: Any, target: Any) -> Any:
    """Return half the squared error, summed over features, averaged over the batch.

    ``mean_i sum_j (prediction_ij - target_ij)**2 / 2``, both of shape (batch, n). The
    half makes its gradient the plain residual.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if np.shape(prediction) != np.shape(target):
        raise ValueError(
            f"prediction and target differ in shape: {np.shape(prediction)}, "
            f"{np.shape(target)}"
        )
    residual = prediction - target
    return mean(sum(residual * residual, axis=-1)) * 0.5


def distillation(logits: Any, teacher_logits: Any, T: float) -> Any:
    """Return ``T**2 * KL(teacher || student)`` of softmaxes at temperature ``T``.

    Hinton, Vinyals, Dean (2015), section 2: gradients shrink as 1/T**2, and the factor
    undoes it. Both logits have shape (batch, classes).

    Raises
    ------
    ValueError
        If the shapes differ, or ``T`` is not a positive number.
    """
    if np.shape(logits) != np.shape(teacher_logits):
        raise ValueError(
            "logits and teacher_logits differ in shape: "
            f"{np.shape(logits)}, {np.shape(teacher_logits)}"
        )
    T = check_number("T", T, 0, math.inf, "()")
    log_p = log_softmax(np.asarray(teacher_logits) / T)
    log_q = log_softmax(logits / T)
    return mean(sum(np.exp(log_p) * (log_p - log_q), axis=-1)) * T**2


def accuracy(logits: Any, labels: Any) -> float:
    """Return the fraction of rows whose largest logit is the label's (0 to 1).

    logits (batch, classes), labels (batch,) of ints.

    Raises
    ------
    ValueError
        If the shapes do not fit, the labels are not ints in [0, classes), or there are
        none.
    """
    wanted = "logits (batch, classes), labels (batch,)"
    check_shapes("accuracy", wanted, logits, labels)
    labels = check_indices("labels", labels, np.shape(logits)[1])
    if not labels.size:
        raise ValueError("accuracy needs a sample or more, got 0")
    return float(np.mean(np.argmax(logits, axis=1) == labels))
