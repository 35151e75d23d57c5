"""When the ranks talk: what every strategy does, and steps by averaged gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from numpy.typing import NDArray

from deepopt_lib.core.types import Grads, Params
from deepopt_lib.optim.optimizer import Optimizer, OptimizerState
from deepopt_lib.parallel.exchange import AllReduce, Exchange, ExchangeState
from deepopt_lib.parallel.ranks import Ranks

__all__ = ["DataParallel", "Strategy", "StrategyState"]

Own = Mapping[tuple[str, str], NDArray[Any]]
"""Arrays of one rank alone, by what they are and by name: ``("error", "layer1.W")``."""


class StrategyState(NamedTuple):
    """Steps taken, the optimizer's state on this rank, and the exchange's."""

    t: int
    optimizer: OptimizerState
    exchange: ExchangeState = ExchangeState({}, {})


class Strategy(ABC):
    """Base of the ways to train with several ranks.

    What takes `Ranks` is called by all of them. As written here, the ranks are alike
    after each step, and each of them holds the whole state.

    Attributes
    ----------
    optimizer : Optimizer
        What steps.
    """

    optimizer: Optimizer

    @property
    @abstractmethod
    def sends(self) -> str:
        """What the ranks send each other: what a resumed run must not change."""

    @abstractmethod
    def init(self, params: Params, ranks: Ranks, /) -> StrategyState:
        """Return the state before the first step."""

    @abstractmethod
    def step(
        self, grads: Grads, s: StrategyState, params: Params, ranks: Ranks, /
    ) -> tuple[Params, StrategyState]:
        """Take one step by the gradients of this rank's own samples."""

    def meet(
        self, params: Params, s: StrategyState, ranks: Ranks, /
    ) -> tuple[Params, StrategyState]:
        """Return what the run stands for: parameters and state alike on every rank."""
        return params, s

    def collect(
        self, s: StrategyState, params: Params, ranks: Ranks, /
    ) -> OptimizerState:
        """Return the optimizer's whole state of ranks that have met.

        It is the state that one process would have.
        """
        return s.optimizer

    def divide(
        self, whole: OptimizerState, params: Params, ranks: Ranks, /
    ) -> OptimizerState:
        """Return this rank's part of the optimizer's whole state."""
        return whole

    def own(self, params: Params, s: StrategyState, /) -> Own:
        """Return what only this rank has, as far as `collect` does not have it."""
        return {}

    def with_own(
        self, params: Params, s: StrategyState, own: Own, /
    ) -> tuple[Params, StrategyState]:
        """Put what `own` has returned back in its place."""
        return params, s


@dataclass(frozen=True)
class DataParallel(Strategy):
    """Everyone holds everything; the gradients are averaged before each step."""

    optimizer: Optimizer
    exchange: Exchange = field(default_factory=AllReduce)

    @property
    def sends(self) -> str:
        """The exchange."""
        return repr(self.exchange)

    def init(self, params: Params, ranks: Ranks, /) -> StrategyState:
        """Return the optimizer's state and the exchange's."""
        return StrategyState(0, self.optimizer.init(params), self.exchange.init(params))

    def step(
        self, grads: Grads, s: StrategyState, params: Params, ranks: Ranks, /
    ) -> tuple[Params, StrategyState]:
        """Average, then step."""
        grads, exchange = self.exchange.mean(grads, s.exchange, ranks)
        params, state = self.optimizer.step(grads, s.optimizer, params)
        return params, StrategyState(state.t, state, exchange)

    def own(self, params: Params, s: StrategyState, /) -> Own:
        """Return the exchange's errors."""
        return {("error", k): e for k, e in s.exchange.error.items()}

    def with_own(
        self, params: Params, s: StrategyState, own: Own, /
    ) -> tuple[Params, StrategyState]:
        """Put the errors back."""
        error = {k: e for (_, k), e in own.items()}
        return params, s._replace(exchange=s.exchange._replace(error=error))
