"""ZeRO-1: the optimizer's state is shared out over the ranks."""

from __future__ import annotations

from dataclasses import dataclass

from deepopt_lib.core.tree import flatten, ravel, unflatten, unravel
from deepopt_lib.core.types import Array, Grads, Params, State
from deepopt_lib.optim.optimizer import Optimizer, OptimizerState
from deepopt_lib.parallel.ranks import Ranks
from deepopt_lib.parallel.strategies import Strategy, StrategyState

__all__ = ["ZeRO1"]


@dataclass(frozen=True)
class ZeRO1(Strategy):
    """Everyone steps a part of the parameters, and holds the state of that part alone.

    Rajbhandari et al. (2020), stage 1 (P_os): the gradients are reduce-scattered, the
    new parameters all-gathered; together they send what one all-reduce sends, and the
    optimizer's state takes 1/N on each rank.

    Raises
    ------
    ValueError
        If the rule is not elementwise, or is not one rule for all parameters: a part
        may end in the middle of a matrix.
    """

    optimizer: Optimizer

    def __post_init__(self) -> None:
        """Check the rule."""
        if not getattr(self.optimizer.rule, "elementwise", False):
            raise ValueError(
                f"ZeRO1 needs one elementwise rule, got {self.optimizer.rule!r}"
            )

    @property
    def sends(self) -> str:
        """The exact mean, in two halves."""
        return "AllReduce()"

    def init(self, params: Params, ranks: Ranks, /) -> StrategyState:
        """Return the state of this rank's part of the flat parameters."""
        return StrategyState(0, self.optimizer.init(self._part(params, ranks)))

    def step(
        self, grads: Grads, s: StrategyState, params: Params, ranks: Ranks, /
    ) -> tuple[Params, StrategyState]:
        """Reduce-scatter, step one's own part, all-gather."""
        g = {"part": ranks.reduce_scatter_mean(ravel(grads)[0])}
        new, state = self.optimizer.step(g, s.optimizer, self._part(params, ranks))
        params = unravel(ranks.all_gather_v(new["part"]), params)
        return params, StrategyState(state.t, state)

    def collect(
        self, s: StrategyState, params: Params, ranks: Ranks, /
    ) -> OptimizerState:
        """Join the parts of the state and give them the names of the parameters."""
        mine = s.optimizer.rules["part"]
        whole = [unravel(ranks.all_gather_v(a), params) for a in flatten(mine)]
        return OptimizerState(
            s.t, {k: unflatten(mine, (each[k] for each in whole)) for k in params}
        )

    def divide(
        self, whole: OptimizerState, params: Params, ranks: Ranks, /
    ) -> OptimizerState:
        """Cut this rank's part out of the whole state."""
        like = self.optimizer.init(self._part(params, ranks)).rules["part"]
        named = {k: flatten(s) for k, s in whole.rules.items()}
        flat = [
            ravel({k: named[k][i] for k in params})[0]
            for i in range(len(flatten(like)))
        ]
        part: State = unflatten(like, (a[ranks.span(len(a))].copy() for a in flat))
        return OptimizerState(whole.t, {"part": part})

    def _part(self, params: Params, ranks: Ranks) -> dict[str, Array]:
        flat = ravel(params)[0]
        return {"part": flat[ranks.span(len(flat))].copy()}
