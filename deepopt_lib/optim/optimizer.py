"""The optimizer: lifts rules from one array to named parameters and takes the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from deepopt_lib.core.checks import is_int
from deepopt_lib.core.types import Grads, Params, Rule, Schedule, State
from deepopt_lib.optim.arguments import (
    check_like,
    check_lr,
    check_names,
    check_params,
    check_state,
)
from deepopt_lib.optim.base import check_rule
from deepopt_lib.optim.inplace.layout import (
    Layout,
    can_fuse,
    init_states,
    lay_out,
    resolved,
)

__all__ = ["Optimizer", "OptimizerState"]


class OptimizerState(NamedTuple):
    """Steps taken so far, and the rule's state of each parameter by name."""

    t: int
    rules: dict[str, State]


class FusedState(OptimizerState):
    """The same, with the layout in memory of the arrays that a fused step writes to."""

    layout: Layout | None = None  # None in a copy: the next step makes a new one


def _fused(t: int, rules: dict[str, State], layout: Layout) -> FusedState:
    state = FusedState(t, rules)
    state.layout = layout
    return state


@dataclass(frozen=True)
class Optimizer:
    """Apply a rule to every parameter: ``w <- w - lr(t) * u``, with ``t`` from 1.

    Nothing is changed in place: ``step`` returns new parameters and a new state, so an
    old state can be kept, compared or returned to. With ``fused=True`` the same numbers
    are written over the old ones, in one loop over memory (`deepopt_lib.fused`);
    parameters from `deepopt_lib.tree.pack` share that loop.

    Parameters
    ----------
    rule : Rule or dict of Rule
        One rule for all parameters, or one per name.
    lr : float or Schedule
        Learning rate >= 0, fixed or as a function of the step.
    fused : bool
        Take the step in place, at the speed of memory.
    threads : int
        How many threads share a fused step.

    Raises
    ------
    ValueError
        If ``rule`` or ``lr`` is not what it should be.
    """

    rule: Rule | dict[str, Rule]
    lr: float | Schedule
    fused: bool = False
    threads: int = 1

    def __post_init__(self) -> None:
        """Check the rules, and the learning rate if it is a number."""
        rules = self.rule if isinstance(self.rule, dict) else {"": self.rule}
        for name, rule in rules.items():
            check_rule(f"Optimizer.rule {name}".rstrip(), rule)
        if not callable(self.lr):
            check_lr(self.lr, "Optimizer.lr")
        if not isinstance(self.fused, bool):
            raise ValueError(f"Optimizer.fused must be a bool, got {self.fused!r}")
        if not is_int(self.threads) or self.threads < 1:
            raise ValueError(f"Optimizer.threads must be >= 1, got {self.threads!r}")
        if self.fused and len(rules) == 1 and not any(map(can_fuse, rules.values())):
            raise ValueError(f"{self.rule!r} is not elementwise and cannot be fused")

    def init(self, params: Params) -> OptimizerState:
        """Return the state before the first step.

        Raises
        ------
        ValueError
            If ``params`` is empty, holds something other than floating-point arrays, or
            has other names than the rules, or if a rule cannot serve a parameter.
        """
        check_params(params)
        rules = self._rules(params)
        if self.fused:
            states = init_states(params, rules)
            return _fused(0, states, lay_out(params, states, rules, self.threads))
        states = {}
        for name, w in params.items():
            try:
                states[name] = rules[name].init(w)
            except ValueError as error:
                raise ValueError(f"params[{name!r}]: {error}") from None
        return OptimizerState(0, states)

    def step(
        self, grads: Grads, state: OptimizerState, params: Params
    ) -> tuple[Params, OptimizerState]:
        """Take one step; return the new parameters and the new state.

        Raises
        ------
        ValueError
            If names or shapes of ``grads``, ``state`` and ``params`` differ, or the
            dtypes of ``grads`` and ``params`` (if fused, of the state too), or if the
            schedule returns something other than a learning rate.
        """
        if not isinstance(state, OptimizerState):
            raise ValueError(f"state must come from init or step, got {state!r}")
        t = state.t + 1
        layout = state.layout if isinstance(state, FusedState) else None
        if layout and layout.fits(params, state.rules):
            layout.step(params, grads, self.lr_at(t), t)
            return params, _fused(t, state.rules, layout)
        check_params(params)
        check_like("grads", params, grads)
        check_names("state.rules", params, state.rules)
        lr, rules = self.lr_at(t), self._rules(params)
        if self.fused:
            layout = lay_out(params, state.rules, rules, self.threads)
            layout.step(params, grads, lr, t)
            return params, _fused(t, state.rules, layout)
        new_params, new_states = {}, {}
        for name, w in params.items():
            if resolved(rules[name], w).elementwise:
                check_state(name, state.rules[name], w)
        for name, w in params.items():
            u, new_states[name] = rules[name].update(
                grads[name], state.rules[name], w, t
            )
            new_params[name] = np.asanyarray(w - lr * u)  # 0-d stays an array
        return new_params, OptimizerState(t, new_states)

    def lr_at(self, t: int) -> float:
        """Return the learning rate of step ``t``, checked."""
        if callable(self.lr):
            return check_lr(self.lr(t), f"lr({t})")
        return float(self.lr)

    def _rules(self, params: Params) -> dict[str, Rule]:
        if isinstance(self.rule, dict):
            check_names("Optimizer.rule", params, self.rule)
            return self.rule
        return dict.fromkeys(params, self.rule)
