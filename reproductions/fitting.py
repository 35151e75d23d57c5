"""Training by any loss, and the search for its rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deepopt_lib import autodiff, core, optim, training
from reproductions.common import Report

__all__ = ["Loss", "climb", "fit"]

Loss = Callable[[Any, Any, Any], Any]
"""Of the parameters, inputs and targets of a batch: one number."""


def fit(
    loss: Loss,
    params: core.Params,
    optimizer: optim.Optimizer,
    x: core.Array,
    target: Any,
    *,
    epochs: int,
    batch: int,
    rng: np.random.Generator,
    report: Report,
) -> tuple[core.Params, list[float]]:
    """Train in place; return the parameters, and the mean loss of each epoch's batches.

    ``rng`` shuffles; the loss may draw from it too.
    """
    gradient = autodiff.value_and_grad(loss)
    run = optim.InPlace(optimizer, params)
    means = []
    for epoch in range(core.check_int("epochs", epochs)):
        values = []
        for i in training.batches(len(x), batch, rng):
            value, grads = gradient(run.params, x[i], target[i])
            run.step(grads)
            values.append(value)
        means.append(float(np.mean(values)))
        report((epoch + 1) / epochs)
    return {k: w.copy() for k, w in run.params.items()}, means


def climb(error: Callable[[float], float], start: float) -> dict[str, float]:
    """Try a rate, half and twice of it, and further while the best is on the border.

    Returns what each has reached, lowest rate first; a rate that diverges has reached
    nothing, and counts as the worst.
    """
    tried = {start: error(start)}
    while True:
        best = min(tried, key=lambda lr: (not np.isfinite(tried[lr]), tried[lr]))
        around = [lr for lr in (best / 2, best * 2) if lr not in tried]
        if not around:
            found = sorted(tried.items())
            return {f"{lr:g}": e for lr, e in found if np.isfinite(e)}
        tried |= {lr: error(lr) for lr in around}
