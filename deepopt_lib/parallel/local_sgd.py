"""Local SGD: steps of each rank alone, with averages between."""

from __future__ import annotations

from dataclasses import dataclass

from deepopt_lib.core.checks import check_int
from deepopt_lib.core.tree import flatten, ravel, unflatten, unravel
from deepopt_lib.core.types import Grads, Params
from deepopt_lib.optim.optimizer import Optimizer, OptimizerState
from deepopt_lib.parallel.ranks import Ranks
from deepopt_lib.parallel.strategies import Own, Strategy, StrategyState

__all__ = ["LocalSGD"]


@dataclass(frozen=True)
class LocalSGD(Strategy):
    """Everyone steps alone; after every ``period`` steps parameters are averaged.

    Stich (2019), Algorithm 1. The optimizer's state is averaged with them. At any step
    the run stands for the average: it is what is evaluated, and what the run ends with.

    Raises
    ------
    ValueError
        If ``period`` is not an int >= 1.
    """

    optimizer: Optimizer
    period: int = 8

    def __post_init__(self) -> None:
        """Check the period."""
        period = check_int("LocalSGD.period", self.period)
        object.__setattr__(self, "period", period)

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
        new = StrategyState(state.t, state)
        return (params, new) if self._apart(new) else _average(params, new, ranks)

    def meet(
        self, params: Params, s: StrategyState, ranks: Ranks, /
    ) -> tuple[Params, StrategyState]:
        """Return the average, which the last step may have taken already."""
        return _average(params, s, ranks) if self._apart(s) else (params, s)

    def own(self, params: Params, s: StrategyState, /) -> Own:
        """Return this rank's parameters and state between two averages."""
        leaves = flatten((params, s.optimizer.rules)) if self._apart(s) else ()
        return {("own", str(i)): leaf for i, leaf in enumerate(leaves)}

    def with_own(
        self, params: Params, s: StrategyState, own: Own, /
    ) -> tuple[Params, StrategyState]:
        """Put them back."""
        if not own:
            return params, s
        params, rules = unflatten((params, s.optimizer.rules), own.values())
        return params, StrategyState(s.t, OptimizerState(s.t, rules))

    def _apart(self, s: StrategyState) -> bool:
        return s.t % self.period > 0


def _average(
    params: Params, s: StrategyState, ranks: Ranks
) -> tuple[Params, StrategyState]:
    """Average parameters and state over the ranks in one message."""
    tree = params, s.optimizer.rules
    parts = {str(i): leaf for i, leaf in enumerate(flatten(tree))}
    mean = unravel(ranks.all_reduce_mean(ravel(parts)[0]), parts)
    params, rules = unflatten(tree, mean.values())
    return params, StrategyState(s.t, OptimizerState(s.t, rules))
