"""Training: one visible loop over mini-batches, and one over the steps of a problem."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from deepopt_lib.autodiff.backward import value_and_grad
from deepopt_lib.core.checks import is_int
from deepopt_lib.core.tree import ravel
from deepopt_lib.core.types import Array, Grads, Params
from deepopt_lib.optim.optimizer import Optimizer
from deepopt_lib.training.history import History
from deepopt_lib.training.problems import Problem
from deepopt_lib.training.resume import Keeper

__all__ = ["batches", "descend", "fit"]


def batches(
    n: int, batch_size: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Yield the indices 0 .. n-1 once each, in random order, ``batch_size`` at a time.

    The last batch is smaller when ``batch_size`` does not divide ``n``.

    Raises
    ------
    ValueError
        If ``batch_size`` is not between 1 and ``n``.
    """
    if not is_int(batch_size) or not 1 <= batch_size <= n:
        raise ValueError(f"batch_size must be an int in [1, {n}], got {batch_size!r}")
    order = rng.permutation(n)
    return (order[i : i + batch_size] for i in range(0, n, batch_size))


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
    evaluate: Callable[[Params], dict[str, float]] | None = None,
    transform: Callable[[Grads], Grads] = lambda grads: grads,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int = 1000,
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

    Raises
    ------
    ValueError
        If ``epochs``, ``batch_size`` or ``every`` is out of range, if x and y differ in
        length, or if ``checkpoint`` is damaged or of another run.
    OSError
        If ``checkpoint`` cannot be read or written.
    """
    if not is_int(epochs) or epochs < 0:
        raise ValueError(f"epochs must be an int >= 0, got {epochs!r}")
    if len(x) != len(y):
        raise ValueError(f"x and y differ in length: {len(x)} and {len(y)}")
    shuffled = partial(batches, len(x), batch_size)
    shuffled(np.random.default_rng(0))  # checks batch_size
    length = math.ceil(len(x) / batch_size)  # of an epoch, in steps
    same = {"samples": len(x), "batch_size": batch_size, "evaluate": bool(evaluate)}
    gradient = value_and_grad(loss)
    if optimizer.fused:  # it writes over what it is given, best over one array
        params = ravel(params)[1]
    run = History(params, optimizer.init(params))
    keeper = Keeper(checkpoint, every, optimizer, rng)
    keeper.resume(run, epochs * length, same, {"x": x, "y": y})
    done = run.state.t // length
    if evaluate and len(run.metrics) <= done:
        run.metrics.append(evaluate(run.params))
    silent = bool(os.environ.get("TQDM_DISABLE"))  # tqdm.auto ignores it by itself
    for _ in tqdm(range(done, epochs), "epochs", epochs, initial=done, disable=silent):
        for i in keeper.batches(shuffled, run.state.t % length):
            value, grads = gradient(run.params, x[i], y[i])
            run.params, run.state = optimizer.step(
                transform(grads), run.state, run.params
            )
            run.loss.append(value)
            keeper.step(run)
        if evaluate:
            run.metrics.append(evaluate(run.params))
    keeper.save(run)
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
        If ``steps`` is not an int >= 0.
    """
    if not is_int(steps) or steps < 0:
        raise ValueError(f"steps must be an int >= 0, got {steps!r}")
    gradient = problem.grad if grad is None else grad
    params = {"x": problem.x0.copy()}  # a fused step writes in place
    state = optimizer.init(params)
    path = [problem.x0]
    for _ in range(steps):
        params, state = optimizer.step({"x": gradient(params["x"])}, state, params)
        path.append(params["x"].copy())
        if tol and np.linalg.norm(params["x"] - problem.minimum) < tol:
            break
    return np.array(path)
