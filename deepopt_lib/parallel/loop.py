"""Training on several ranks: the loop of `train.fit`, with a share of each batch."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from deepopt_lib.autodiff.backward import value_and_grad
from deepopt_lib.core.checks import is_int
from deepopt_lib.core.files import checksum
from deepopt_lib.core.tree import ravel
from deepopt_lib.core.types import Array, Grads, Params
from deepopt_lib.optim.optimizer import OptimizerState
from deepopt_lib.parallel.exchange import ExchangeState
from deepopt_lib.parallel.ranks import Ranks, SharedError, check_same
from deepopt_lib.parallel.strategies import Strategy, StrategyState
from deepopt_lib.training.history import History
from deepopt_lib.training.loop import batches
from deepopt_lib.training.resume import Keeper

__all__ = ["Run", "SharedKeeper", "fit"]


@dataclass
class Run(History):
    """A `History` whose ``state`` is the strategy's, on this rank."""

    state: Any


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
    evaluate: Callable[[Params], dict[str, float]] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int = 1000,
) -> Run:
    """Train as `train.fit` does, on all ranks together; every rank calls it alike.

    Every rank draws the same batches of ``batch_size`` samples and computes the
    gradient of its share, so that up to rounding the run is the same on any number of
    ranks. Only rank 0 shows progress and writes the checkpoint, in which nothing but an
    exchange's error depends on the number of ranks.

    Parameters
    ----------
    strategy : Strategy
        `DataParallel`, `ZeRO1` or `LocalSGD`, with the optimizer.
    ranks : Ranks
        All ranks: ``world()``.
    loss, params, x, y, epochs, batch_size, rng, evaluate, checkpoint, every
        As in `train.fit`, and the same on every rank.

    Raises
    ------
    SharedError
        If an argument is out of range, or the ranks differ in their data, parameters,
        options or versions; later if a loss or a gradient is no longer finite, or if
        the checkpoint cannot be read or written. All ranks raise it.
    """
    together = ranks.together
    together(lambda: _check(len(x), len(y), epochs, batch_size, ranks.size))
    options = {"strategy": repr(strategy), "epochs": epochs, "every": every}
    resumed = checkpoint is not None and os.path.exists(checkpoint)
    more = {"batch_size": batch_size, "checkpoint": resumed}
    check_same(ranks, {**_facts(params, x, y), **options, **more})
    shuffled = partial(batches, len(x), batch_size)
    length = math.ceil(len(x) / batch_size)  # of an epoch, in steps
    same: dict[str, Any] = {"what ranks send": strategy.sends}
    same |= {"samples": len(x), "batch_size": batch_size, "evaluate": bool(evaluate)}
    gradient = value_and_grad(loss)
    if strategy.optimizer.fused:  # it writes in place: into a copy
        params = ravel(params)[1]
    run = Run(params, together(lambda: strategy.init(params, ranks)))
    keeper = together(lambda: SharedKeeper(checkpoint, every, strategy, rng, ranks))
    if run.state.exchange.error:  # every rank has its own
        same["ranks"] = ranks.size
    keeper.resume(run, epochs * length, same, {"x": x, "y": y})
    done = run.state.t // length
    if evaluate and len(run.metrics) <= done:
        run.metrics.append(evaluate(run.params))
    silent = ranks.rank > 0 or bool(os.environ.get("TQDM_DISABLE"))
    for _ in tqdm(range(done, epochs), "epochs", epochs, initial=done, disable=silent):
        for batch in keeper.batches(shuffled, run.state.t % length):
            i = batch[ranks.span(len(batch))]  # this rank's share
            weight = len(i) * ranks.size / len(batch)
            value, grads = gradient(run.params, x[i], y[i]) if len(i) else (0.0, {})
            grads = {
                k: weight * grads[k] if len(i) else np.zeros_like(w)
                for k, w in run.params.items()
            }
            run.loss.append(_agree(ranks, run.state.t + 1, weight * value, grads))
            run.params, run.state = strategy.step(grads, run.state, run.params, ranks)
            keeper.step(run)
        if evaluate:
            run.metrics.append(evaluate(run.params))
    keeper.save(run)
    return run


class SharedKeeper(Keeper):
    """A `Keeper` of what all ranks hold together: all collect it, rank 0 writes it."""

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        every: int,
        strategy: Strategy,
        rng: np.random.Generator,
        ranks: Ranks,
    ) -> None:
        super().__init__(path, every, strategy.optimizer, rng)
        self.strategy = strategy
        self.ranks = ranks

    def _write(self, path: str, run: History) -> None:
        state: Any = run.state
        with self.ranks.uncounted():
            whole = self.strategy.collect(state, run.params, self.ranks)
            everyone = self.ranks.gather(list(state.exchange.error.values()))
        self.more = {f"shared {k}": a for k, a in state.exchange.shared.items()}
        for rank, arrays in enumerate(everyone):
            names = (f"error {rank} {k}" for k in state.exchange.error)
            self.more |= dict(zip(names, arrays, strict=True))
        self.ranks.together(lambda: self._write_once(path, run, whole))
        self.stored = (state.t, len(run.metrics))

    def _write_once(self, path: str, run: History, whole: OptimizerState) -> None:
        if self.ranks.rank == 0:
            super()._write(path, History(run.params, whole, run.loss, run.metrics))

    def _load(self, path: str, run: History, steps: int) -> None:
        state: Any = run.state
        whole = History(run.params, self.optimizer.init(run.params))
        load = partial(super()._load, path, whole, steps)
        self.ranks.together(load)
        rank, more = self.ranks.rank, self.more
        exchange = ExchangeState(
            {k: more[f"error {rank} {k}"] for k in state.exchange.error},
            {k: more[f"shared {k}"] for k in state.exchange.shared},
        )
        mine = self.strategy.divide(whole.state, whole.params, self.ranks)
        run.params, run.loss, run.metrics = whole.params, whole.loss, whole.metrics
        vars(run)["state"] = StrategyState(mine.t, mine, exchange)


def _check(x: int, y: int, epochs: int, batch_size: int, ranks: int) -> None:
    if not is_int(epochs) or epochs < 0:
        raise ValueError(f"epochs must be an int >= 0, got {epochs!r}")
    if x != y:
        raise ValueError(f"x and y differ in length: {x} and {y}")
    if ranks > x:
        raise ValueError(f"there are more ranks than samples: {ranks} and {x}")
    batches(x, batch_size, np.random.default_rng(0))  # checks batch_size
    if batch_size < ranks:
        raise ValueError(
            f"a batch needs a sample for each rank: {batch_size} samples, {ranks} ranks"
        )


def _facts(params: Params, x: Array, y: Any) -> dict[str, Any]:
    """Return what must be the same on all ranks."""
    return {
        "versions": f"deepopt_lib {version('deepopt_lib')}, NumPy {np.__version__}, "
        f"Python {platform.python_version()}",
        "the names of the parameters": sorted(params),
        "the first parameters": f"{checksum(params):08x}",
        "the data": f"{checksum({'x': np.asarray(x), 'y': np.asarray(y)}):08x}",
    }


def _agree(ranks: Ranks, t: int, value: float, grads: Grads) -> float:
    """Return the loss of the whole batch; stop all ranks if one has no number left."""
    bad = next(
        (i for i, g in enumerate(grads.values()) if not np.isfinite(g).all()), -1
    )
    with ranks.uncounted():
        each = ranks.each(np.array([value, bad]))
    for rank, (part, i) in enumerate(each):
        if i >= 0 or not math.isfinite(part):
            what = f"the gradient of {list(grads)[int(i)]}" if i >= 0 else "the loss"
            raise SharedError(f"step {t}: {what} is NaN or infinite on rank {rank}")
    return float(each[:, 0].mean())
