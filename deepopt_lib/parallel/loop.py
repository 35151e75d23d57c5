"""Training on several ranks: the loop of `training.fit`, with a share of each batch."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from deepopt_lib.autodiff.backward import value_and_grad
from deepopt_lib.core.types import Array, Grads, Params
from deepopt_lib.parallel.agreement import agreed_step, check_same, facts
from deepopt_lib.parallel.job import or_abort
from deepopt_lib.parallel.ranks import Ranks
from deepopt_lib.parallel.strategies import Strategy
from deepopt_lib.parallel.worker import RankWorker, Run
from deepopt_lib.training.checkpoint import identity, printed
from deepopt_lib.training.loop import Evaluate, train
from deepopt_lib.training.plan import Indices, Plan
from deepopt_lib.training.resume import Keeper

__all__ = ["fit"]


def fit(
    loss: Callable[..., Any],
    params: Params,
    strategy: Strategy,
    x: Array,
    y: Any,
    *,
    ranks: Ranks,
    epochs: int,
    batch_size: int,
    rng: np.random.Generator,
    evaluate: Evaluate | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int = 1000,
) -> Run:
    """Train as `training.fit` does, on all ranks together; every rank calls it alike.

    Every rank draws the same batches of ``batch_size`` samples and computes the
    gradient of its share, so that up to rounding the run is the same on any number of
    ranks. Only rank 0 shows progress and writes the checkpoint; all read it. The number
    of ranks may change at a resume, unless each has something that no other has: an
    exchange's error, or its own parameters between two averages of `LocalSGD`.

    Parameters
    ----------
    strategy : Strategy
        `DataParallel`, `ZeRO1` or `LocalSGD`, with the optimizer.
    ranks : Ranks
        All ranks: ``world()``.
    rng : numpy.random.Generator
        Shuffles the data. Shares differ in size, so that a loss must not draw from it.
    loss, params, x, y, epochs, batch_size, evaluate, checkpoint, every
        As in `training.fit`, and the same on every rank.

    Returns
    -------
    Run
        The parameters are the same on every rank.

    Raises
    ------
    SharedError
        If an argument is out of range; if the ranks differ in their data, parameters,
        generators, options or versions; if ``loss`` or ``evaluate`` fails on a rank; if
        a loss or a gradient is no longer finite; or if the checkpoint cannot be read or
        written. All ranks raise it. Any other error of one rank ends the whole job.
    """
    together = ranks.together

    def gradient(run: Run, batch: Indices) -> tuple[float, Grads]:
        i = batch[ranks.span(len(batch))]  # this rank's share
        weight = len(i) * ranks.size / len(batch)  # the mean over ranks is the batch's

        def share() -> tuple[float, Grads]:
            if not len(i):
                return 0.0, {k: np.zeros_like(w) for k, w in run.params.items()}
            value, grads = value_and_grads(run.params, x[i], y[i])
            return weight * value, {k: weight * g for k, g in grads.items()}

        return agreed_step(ranks, run.state.t + 1, batch, share)

    def evaluated(params: Params) -> dict[str, float]:
        return together(lambda: evaluate(params) if evaluate else {})

    with or_abort(ranks):
        plan = together(lambda: _plan(x, y, batch_size, epochs, ranks))
        worker = RankWorker(strategy, ranks)
        keeper = together(lambda: Keeper(checkpoint, every, worker, rng))
        mine = {
            "strategy": printed(strategy),
            "epochs": plan.epochs,
            "batch_size": plan.batch_size,
            "every": keeper.every,
            "evaluate": evaluate is not None,
            **together(lambda: identity(strategy.optimizer, plan.steps, rng)),
            **together(lambda: facts(params, x, y, rng, checkpoint)),
        }
        check_same(ranks, mine)
        value_and_grads = value_and_grad(loss)
        run = worker.start(params)
        keeper.resume(run, plan, evaluate is not None, {"x": x, "y": y})
        silent = ranks.rank > 0
        shown = evaluated if evaluate else None
        return train(run, gradient, worker, plan, keeper, shown, silent)


def _plan(x: Array, y: Any, batch_size: int, epochs: int, ranks: Ranks) -> Plan:
    plan = Plan.of(x, y, batch_size, epochs)
    if ranks.size > plan.samples:
        raise ValueError(
            f"there are more ranks than samples: {ranks.size} and {plan.samples}"
        )
    if ranks.size > plan.batch_size:
        raise ValueError(
            "a batch needs a sample for each rank: "
            f"{plan.batch_size} samples, {ranks.size} ranks"
        )
    return plan
