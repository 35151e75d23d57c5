"""Schedule-Free: an average of iterates instead of a schedule that knows its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepopt_lib.core.types import Array, Params
from deepopt_lib.optim.base import FRACTION, Checked, Ranges
from deepopt_lib.optim.compose import Chain
from deepopt_lib.optim.optimizer import Optimizer, OptimizerState

__all__ = ["ScheduleFree", "average"]


@dataclass(frozen=True)
class ScheduleFree(Checked):
    """Schedule-Free steps (Defazio et al. 2024); one array of state.

    Three points, of which only ``y`` is stored as the parameter ``w``::

        y = (1-b1)*z + b1*x              the gradient is taken here
        z = z - lr*g                     the base method
        x = (1 - 1/t)*x + (1/t)*z        the plain average, to be evaluated

    The state is ``d = (x - z) / lr``, so that the rule need not know ``lr``. In it the
    lines above are ``u = (1-b1)*g + (b1/t)*(d + g)``, ``d = (1 - 1/t)*(d + g)``.

    Variant: lr constant and no warm-up, for which the paper's weights are 1/t. It comes
    last: ``chain(Adam(b1=0), ScheduleFree())`` is Schedule-Free Adam. Evaluate at
    `average`, not at the parameters.
    """

    ranges: ClassVar[Ranges] = {"b1": FRACTION}

    b1: float = 0.9

    def init(self, w: Array, /) -> Array:
        """Return zeros: at the start all three points are one."""
        return np.zeros_like(w)

    def update(self, g: Array, d: Array, w: Array, t: int, /) -> tuple[Array, Array]:
        """Return the direction of ``y`` and the next ``d``."""
        d = d + g  # z has moved, x has not yet
        u = (1 - self.b1) * g + (self.b1 / t) * d
        return u, (1 - 1 / t) * d


def average(params: Params, state: OptimizerState, optimizer: Optimizer) -> Params:
    """Return the averages ``x = y + (1-b1)*lr*d`` where Schedule-Free is evaluated.

    ``params`` and ``state`` are those of a run of ``optimizer``; neither is changed.

    Raises
    ------
    ValueError
        If ``optimizer.lr`` is a schedule, a parameter has no state, or its rule does
        not end in ScheduleFree.
    """
    if callable(optimizer.lr):
        raise ValueError(f"ScheduleFree needs a constant lr, got {optimizer.lr!r}")
    averages, rules = {}, optimizer.rules_for(params)
    for name, y in params.items():
        if name not in state.rules:
            raise ValueError(f"params[{name!r}] has no state")
        s, rule = state.rules[name], rules[name]
        while isinstance(rule, Chain):
            rule, s = rule.rules[-1], s[-1]
        if not isinstance(rule, ScheduleFree):
            raise ValueError(
                f"the rule of params[{name!r}] must end in ScheduleFree, got {rule!r}"
            )
        averages[name] = np.asanyarray(y + (1 - rule.b1) * optimizer.lr_at(1) * s)
    return averages
