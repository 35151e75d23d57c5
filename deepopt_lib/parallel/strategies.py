"""When the ranks talk: data-parallel steps, or local steps with averages between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from deepopt_lib.core.checks import is_int
from deepopt_lib.core.tree import flatten, nbytes, ravel, unflatten, unravel
from deepopt_lib.core.types import Grads, Params
from deepopt_lib.optim.optimizer import Optimizer, OptimizerState
from deepopt_lib.parallel.exchange import AllReduce, Exchange, ExchangeState
from deepopt_lib.parallel.ranks import Ranks, SharedError

__all__ = ["DataParallel", "LocalSGD", "Strategy", "StrategyState"]


class StrategyState(NamedTuple):
    """Steps taken, the optimizer's state on this rank, and the exchange's."""

    t: int
    optimizer: OptimizerState
    exchange: ExchangeState = ExchangeState({}, {})

    @property
    def nbytes(self) -> int:
        """Bytes of the optimizer's state that this rank holds."""
        return sum(nbytes(flatten(s)) for s in self.optimizer.rules.values())


class Strategy(Protocol):
    """A way to train with several ranks. Every method is called by all of them."""

    @property
    def optimizer(self) -> Optimizer:
        """What steps."""
        ...

    @property
    def sends(self) -> str:
        """What the ranks send each other: what a resumed run must not change."""
        ...

    def init(self, params: Params, ranks: Ranks, /) -> StrategyState:
        """Return the state before the first step."""
        ...

    def step(
        self, grads: Grads, s: StrategyState, params: Params, ranks: Ranks, /
    ) -> tuple[Params, StrategyState]:
        """Take one step by the gradients of this rank's own samples."""
        ...

    def collect(
        self, s: StrategyState, params: Params, ranks: Ranks, /
    ) -> OptimizerState:
        """Return the optimizer's whole state, as one process would have it."""
        ...

    def divide(
        self, whole: OptimizerState, params: Params, ranks: Ranks, /
    ) -> OptimizerState:
        """Return this rank's part of the optimizer's whole state."""
        ...


@dataclass(frozen=True)
class DataParallel:
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

    def collect(
        self, s: StrategyState, params: Params, ranks: Ranks, /
    ) -> OptimizerState:
        """Return the state, which everyone has."""
        return s.optimizer

    def divide(
        self, whole: OptimizerState, params: Params, ranks: Ranks, /
    ) -> OptimizerState:
        """Return the state, which everyone has."""
        return whole


@dataclass(frozen=True)
class LocalSGD:
    """Everyone steps alone; after every ``period`` steps parameters are averaged.

    Stich (2019), Algorithm 1. The optimizer's state is averaged with them, so that at
    these steps, as in any other strategy, all ranks are alike.

    Raises
    ------
    ValueError
        If ``period`` is not an int >= 1.
    """

    optimizer: Optimizer
    period: int = 8

    def __post_init__(self) -> None:
        """Check the period."""
        if not is_int(self.period) or self.period < 1:
            raise ValueError(f"LocalSGD.period must be >= 1, got {self.period!r}")

    @property
    def sends(self) -> str:
        """Averages, this often."""
        return f"averages after {self.period} steps"

    def init(self, params: Params, ranks: Ranks, /) -> StrategyState:
        """Return the optimizer's state."""
        return StrategyState(0, self.optimizer.init(params))

    def step(
        self, grads: Grads, s: StrategyState, params: Params, ranks: Ranks, /
    ) -> tuple[Params, StrategyState]:
        """Step; average if it is time."""
        params, state = self.optimizer.step(grads, s.optimizer, params)
        if state.t % self.period == 0:
            params, state = _averaged(params, state, ranks)
        return params, StrategyState(state.t, state)

    def collect(
        self, s: StrategyState, params: Params, ranks: Ranks, /
    ) -> OptimizerState:
        """Return the state, alike on all ranks after a step that averages.

        Raises
        ------
        SharedError
            If the ranks have gone apart since they were last averaged.
        """
        if s.t % self.period and ranks.size > 1:
            raise SharedError(
                f"step {s.t} is between two averages of local SGD: save after a "
                f"multiple of {self.period}"
            )
        return s.optimizer

    def divide(
        self, whole: OptimizerState, params: Params, ranks: Ranks, /
    ) -> OptimizerState:
        """Return the state, which everyone has."""
        return whole


def _averaged(
    params: Params, state: OptimizerState, ranks: Ranks
) -> tuple[Params, OptimizerState]:
    """Average parameters and state over the ranks in one message."""
    parts = {f"w {k}": w for k, w in params.items()}
    for k, s in state.rules.items():
        parts |= {f"s {k} {i}": a for i, a in enumerate(flatten(s))}
    mean = unravel(ranks.mean(ravel(parts)[0]), parts)
    rules = {
        k: unflatten(s, (mean[f"s {k} {i}"] for i in range(len(flatten(s)))))
        for k, s in state.rules.items()
    }
    return {k: mean[f"w {k}"] for k in params}, OptimizerState(state.t, rules)
