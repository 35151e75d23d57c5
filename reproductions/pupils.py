"""A teacher, its students, and the losses that the students learn by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib import autodiff, nn, optim
from deepopt_lib.core import Array, Params
from reproductions.common import Report
from reproductions.fitting import Loss, fit

__all__ = ["DROPOUT", "jittered", "logits", "losses", "study", "teach"]

Dropout = tuple[float, float, float]

TEACHER, STUDENT = (784, 1200, 1200, 10), (784, 800, 800, 10)
BATCH = 128
T = 20.0
WEIGHT = 0.1  # of the labels beside the soft targets
DROPOUT = (0.0, 0.0, 0.0)  # of the teacher's inputs and hidden layers, by `tune`
DECAY = 0.02  # of the teacher


def jittered(x: Array, rng: np.random.Generator, most: int = 2) -> Array:
    """Shift each image by up to ``most`` pixels down and across: (n, 784)."""
    n, side = len(x), 28
    padded = np.zeros((n, side + 2 * most, side + 2 * most), x.dtype)
    padded[:, most : most + side, most : most + side] = x.reshape(n, side, side)
    down, across = rng.integers(0, 2 * most + 1, (2, n, 1))
    rows, columns = down + np.arange(side), across + np.arange(side)
    image = np.arange(n)[:, None, None]
    shifted: Array = padded[image, rows[:, :, None], columns[:, None, :]]
    return shifted.reshape(n, side * side)


def teach(
    x: Array,
    y: Any,
    lr: float,
    epochs: int,
    seed: int,
    report: Report,
    dropout: Dropout = DROPOUT,
) -> Params:
    """Train a teacher on shifted images with dropout."""
    rng = np.random.default_rng([seed, 0])

    def loss(p: Any, x: Any, y: Any) -> Any:
        x = jittered(x, rng)
        for i, rate in enumerate(dropout, 1):
            x = autodiff.dropout(x, rate=rate, rng=rng) if rate else x
            x = autodiff.linear(x, p[f"layer{i}.W"], p[f"layer{i}.b"])
            x = autodiff.relu(x) if i < len(dropout) else x
        return autodiff.cross_entropy(x, y)

    rule = optim.chain(optim.Adam(), optim.WeightDecay(DECAY))
    method = optim.Optimizer(rule, optim.cosine(lr, epochs * -(-len(x) // BATCH)))
    p = nn.init_mlp(rng, TEACHER, dtype=np.float32)
    return fit(
        loss, p, method, x, y, epochs=epochs, batch=BATCH, rng=rng, report=report
    )[0]


def losses(y: NDArray[np.int64], answers: Array) -> dict[str, Loss]:
    """Return the students' losses by name; a target is a row of y and of ``answers``.

    ``answers`` are the teacher's logits (n, 10) of all training images.
    """

    def labels(p: Any, x: Any, rows: Any) -> Any:
        return autodiff.cross_entropy(nn.mlp(p, x), y[rows])

    def distilled(p: Any, x: Any, rows: Any) -> Any:
        z = nn.mlp(p, x)
        hard = autodiff.cross_entropy(z, y[rows])
        return nn.distillation(z, answers[rows], T) + hard * WEIGHT

    return {"labels": labels, "distilled": distilled}


def study(
    loss: Loss,
    x: Array,
    rows: NDArray[np.int64],
    lr: float,
    epochs: int,
    seed: int,
    report: Report,
) -> Params:
    """Train a student on some rows of x; all students of a seed start alike."""
    rng = np.random.default_rng([seed, 1])
    schedule = optim.cosine(lr, epochs * -(-len(rows) // BATCH))
    method = optim.Optimizer(optim.Adam(), schedule)
    p = nn.init_mlp(rng, STUDENT, dtype=np.float32)
    x = x[rows]
    return fit(
        loss, p, method, x, rows, epochs=epochs, batch=BATCH, rng=rng, report=report
    )[0]


def logits(params: Params, x: Array) -> Array:
    """Return the logits (n, 10) of images as they are, without dropout."""
    parts = [nn.mlp(params, x[i : i + 1000]) for i in range(0, len(x), 1000)]
    return np.concatenate(parts)
