"""A rank as a worker of the training loop: all collect, and rank 0 writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from deepopt_lib.core.types import Grads, Params
from deepopt_lib.optim.optimizer import OptimizerState
from deepopt_lib.parallel.errors import SharedError
from deepopt_lib.parallel.exchange import ExchangeState
from deepopt_lib.parallel.ranks import Ranks
from deepopt_lib.parallel.strategies import Strategy, StrategyState
from deepopt_lib.training.history import History
from deepopt_lib.training.worker import More, Worker

__all__ = ["RankWorker", "Run"]

Result = TypeVar("Result")


@dataclass
class Run(History):
    """A `History` whose ``state`` is the strategy's, on this rank."""

    state: Any


class RankWorker(Worker):
    """One of the ranks that work on a run together; all of them call each method."""

    def __init__(self, strategy: Strategy, ranks: Ranks) -> None:
        super().__init__(strategy.optimizer)
        self.strategy = strategy
        self.ranks = ranks

    def start(self, params: Params) -> Run:
        """Return a run before its first step."""
        state = self.ranks.together(lambda: self.strategy.init(params, self.ranks))
        self.bound = bool(state.exchange.error)  # to this number of ranks
        return Run(params, state)

    def step(self, run: Any, grads: Grads) -> None:
        """Take one step by the gradients of this rank's own samples."""
        run.params, run.state = self.strategy.step(
            grads, run.state, run.params, self.ranks
        )

    def shown(self, run: Any) -> Params:
        """Return what the run stands for."""
        with self.ranks.uncounted():
            return self._met(run)[0]

    def finish(self, run: Any) -> None:
        """Meet: the ranks end with the same parameters."""
        run.params, run.state = self._met(run)

    def facts(self) -> dict[str, Any]:
        """Return what the ranks send, and how many they are if that matters."""
        number = {"ranks": self.ranks.size} if self.bound else {}
        return {"what ranks send": self.strategy.sends, **number}

    def collect(self, run: Any) -> tuple[Params, OptimizerState, More]:
        """Return the whole of what the ranks stand for, and what each has alone."""
        own = self.strategy.own(run.params, run.state)
        with self.ranks.uncounted():
            params, met = self._met(run)
            whole = self.strategy.collect(met, params, self.ranks)
            everyone = self.ranks.all_gather_arrays(list(own.values()))
        more = {f"shared {k}": a for k, a in run.state.exchange.shared.items()}
        for rank, arrays in enumerate(everyone):
            names = (f"{what} {rank} {k}" for what, k in own)
            more |= dict(zip(names, arrays, strict=True))
        return params, whole, more

    def give_back(
        self, run: Any, params: Params, state: OptimizerState, more: More
    ) -> None:
        """Take this rank's part of the whole, and what it had alone.

        Raises
        ------
        SharedError
            If each rank has something of its own, and they were more or fewer.
        """
        error, old = run.state.exchange
        shared = {k: more[f"shared {k}"] for k in old}
        part = self.strategy.divide(state, params, self.ranks)
        new = StrategyState(state.t, part, ExchangeState(error, shared))
        keys = list(self.strategy.own(params, new))
        there = [rank for rank in range(len(more)) if _has(more, keys, rank)]
        if keys and len(there) != self.ranks.size:
            raise SharedError(
                "the checkpoint belongs to another run: "
                f"ranks is {len(there)} there, {self.ranks.size} here"
            )
        own = {(what, k): more[f"{what} {self.ranks.rank} {k}"] for what, k in keys}
        run.params, run.state = self.strategy.with_own(params, new, own)

    def read(self, f: Callable[[], Result]) -> Result:
        """Read on every rank; what one of them cannot read is an error of all."""
        return self.ranks.together(f)

    def write(self, f: Callable[[], None]) -> None:
        """Write on rank 0; what it cannot write is an error of all."""
        self.ranks.together(f if self.ranks.rank == 0 else lambda: None)

    def _met(self, run: Any) -> tuple[Params, StrategyState]:
        return self.strategy.meet(run.params, run.state, self.ranks)


def _has(more: More, keys: list[tuple[str, str]], rank: int) -> bool:
    return any(f"{what} {rank} {k}" in more for what, k in keys)
