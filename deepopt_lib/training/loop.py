"""Training: one visible loop over mini-batches, and one over the steps of a problem."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from tqdm.auto import tqdm

from deepopt_lib.autodiff.backward import value_and_grad
from deepopt_lib.core.checks import check_bool, check_int, check_number
from deepopt_lib.core.products import norm
from deepopt_lib.core.types import Array, Grads, Params
from deepopt_lib.optim.optimizer import Optimizer
from deepopt_lib.training.history import History
from deepopt_lib.training.plan import Indices, Plan
from deepopt_lib.training.problems import Problem
from deepopt_lib.training.resume import Keeper
from deepopt_lib.training.worker import InPlaceWorker, Worker

__all__ = ["descend", "fit", "train"]

Evaluate = Callable[[Params], dict[str, float]]
Run = TypeVar("Run", bound=History)


def fit(
    loss: Callable[..., Any],
    params: Params,
    optimizer: Optimizer,
    x: Array,
    y: Any,
    *,
    epochs: int,
    batch_size: int,
    rng: np.random.Generator,
    evaluate: Evaluate | None = None,
    transform: Callable[[Grads], Grads] = lambda grads: grads,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int = 1000,
    in_place: bool = False,
) -> History:
    """Train for ``epochs`` passes over (x, y) and return the `History`.

    Parameters
    ----------
    loss : callable
        ``loss(params, x, y)``, a scalar made of the tape's primitives.
    params : dict
        The start; it is not changed.
    epochs, batch_size : int
        Passes over the data, and samples a step.
    rng : numpy.random.Generator
        Shuffles the data; ``loss`` may draw from it too.
    evaluate : callable, optional
        ``evaluate(params)``, a dict of numbers, called before the first and after every
        epoch.
    transform : callable, optional
        Applied to all gradients before each step; for example clipping.
    checkpoint : str or path, optional
        A safetensors file, written at the start, after every ``every`` steps and at the
        end. If it exists, the run goes on from it and ends with the same bits as one
        without a stop; ``rng`` takes the file's state. Other data, another start or
        another optimizer is noticed and refused. Functions cannot be compared: they
        must be the same, and draw from ``rng`` alone. More epochs prolong a run.
    every : int
        Steps between two checkpoints.
    in_place : bool
        Step by `deepopt_lib.optim.InPlace`, which writes over buffers of its own
        instead of making new arrays; ``evaluate`` sees read-only views of them.

    Raises
    ------
    ValueError
        If ``epochs``, ``batch_size`` or ``every`` is out of range, if x and y differ in
        length, or if ``checkpoint`` is damaged or of another run.
    OSError
        If ``checkpoint`` cannot be read or written.
    """
    plan = Plan.of(x, y, batch_size, epochs)
    kind = InPlaceWorker if check_bool("in_place", in_place) else Worker
    worker = kind(optimizer)
    keeper = Keeper(checkpoint, every, worker, rng)
    run = worker.start(params)
    keeper.resume(run, plan, evaluate is not None, {"x": x, "y": y})
    value_and_grads = value_and_grad(loss)

    def gradient(run: History, i: Indices) -> tuple[float, Grads]:
        value, grads = value_and_grads(run.params, x[i], y[i])
        return value, transform(grads)

    return train(run, gradient, worker, plan, keeper, evaluate)


def train(
    run: Run,
    gradient: Callable[[Run, Indices], tuple[float, Grads]],
    worker: Worker,
    plan: Plan,
    keeper: Keeper,
    evaluate: Evaluate | None,
    silent: bool = False,
) -> Run:
    """Go on with ``run`` to the end of the plan: the loop of every kind of training.

    Parameters
    ----------
    run : History
        Where it stands.
    gradient : callable
        Returns the loss and the gradients of ``run`` for the samples of some indices.
    worker : Worker
        Holds the run and takes the steps.
    keeper : Keeper
        Has taken the run up, and saves it.
    evaluate : callable, optional
        As in `fit`.
    silent : bool
        Show no progress.
    """
    done = run.state.t // plan.length
    if evaluate and len(run.metrics) <= done:
        run.metrics.append(evaluate(worker.shown(run)))
    silent = silent or bool(os.environ.get("TQDM_DISABLE"))  # which tqdm.auto ignores
    epochs = range(done, plan.epochs)
    for _ in tqdm(epochs, "epochs", plan.epochs, initial=done, disable=silent):
        for i in keeper.batches(plan, run.state.t % plan.length):
            value, grads = gradient(run, i)
            worker.step(run, grads)
            run.loss.append(value)
            keeper.step(run)
        if evaluate:
            run.metrics.append(evaluate(worker.shown(run)))
    keeper.save(run)
    worker.finish(run)
    return run


def descend(
    problem: Problem,
    optimizer: Optimizer,
    steps: int,
    *,
    grad: Callable[[Array], Array] | None = None,
    tol: float = 0.0,
) -> Array:
    """Run ``optimizer`` on ``problem``; return every iterate, shape (steps + 1, n).

    ``grad`` replaces the problem's own gradient (a noisy one, say). The run stops early
    once the distance to the minimum is below ``tol``.

    Raises
    ------
    ValueError
        If ``steps`` is not an int >= 0, or ``tol`` no number >= 0.
    """
    steps, tol = check_int("steps", steps, 0), check_number("tol", tol, 0)
    gradient = problem.grad if grad is None else grad
    params = {"x": problem.x0}
    state = optimizer.init(params)
    path = [problem.x0]
    for _ in range(steps):
        params, state = optimizer.step({"x": gradient(params["x"])}, state, params)
        path.append(params["x"])
        if norm(params["x"] - problem.minimum) < tol:
            break
    return np.array(path)
