"""The optimizer: lifts rules from one array to named parameters and takes the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from deepopt_lib.core.checks import check_number
from deepopt_lib.core.types import Grads, Params, Rule, Schedule, State
from deepopt_lib.optim.arguments import (
    check_like,
    check_names,
    check_params,
    check_state,
)
from deepopt_lib.optim.base import check_rule
from deepopt_lib.optim.compose import rule_for

__all__ = ["Optimizer", "OptimizerState"]


class OptimizerState(NamedTuple):
    """Steps taken so far, and the rule's state of each parameter by name."""

    t: int
    rules: dict[str, State]


@dataclass(frozen=True)
class Optimizer:
    """Apply a rule to every parameter: ``w <- w - lr(t) * u``, with ``t`` from 1.

    Nothing is changed in place: ``step`` returns new parameters and a new state, so an
    old state can be kept, compared or returned to. `deepopt_lib.optim.InPlace` takes
    the same steps over buffers of its own.

    Parameters
    ----------
    rule : Rule or dict of Rule
        One rule for all parameters, or one per name.
    lr : float or Schedule
        Learning rate >= 0, fixed or as a function of the step.

    Raises
    ------
    ValueError
        If ``rule`` or ``lr`` is not what it should be.
    """

    rule: Rule | dict[str, Rule]
    lr: float | Schedule

    def __post_init__(self) -> None:
        """Check the rules, and the learning rate if it is a number."""
        rules = self.rule if isinstance(self.rule, dict) else {"": self.rule}
        for name, rule in rules.items():
            check_rule(f"Optimizer.rule {name}".rstrip(), rule)
        if not callable(self.lr):
            check_number("Optimizer.lr", self.lr, 0)

    def init(self, params: Params) -> OptimizerState:
        """Return the state before the first step.

        Raises
        ------
        ValueError
            If ``params`` is empty, holds something other than floating-point arrays, or
            has other names than the rules, or if a rule cannot serve a parameter.
        """
        check_params(params)
        states = {}
        for name, rule in self.rules_for(params).items():
            try:
                states[name] = rule.init(params[name])
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
            If names, shapes or dtypes of ``grads``, ``state`` and ``params`` differ, if
            the state is another rule's, or if the schedule returns something other than
            a learning rate.
        """
        check_params(params)
        check_like("grads", params, grads)
        rules = self.rules_for(params)
        self.check_state(state, params, rules)
        t = state.t + 1
        lr = self.lr_at(t)
        new_params, new_states = {}, {}
        for name, w in params.items():
            u, new_states[name] = rules[name].update(
                grads[name], state.rules[name], w, t
            )
            new_params[name] = np.asanyarray(w - lr * u)  # 0-d stays an array
        return new_params, OptimizerState(t, new_states)

    def lr_at(self, t: int) -> float:
        """Return the learning rate of step ``t``.

        Raises
        ------
        ValueError
            If the schedule returns something other than a finite number >= 0.
        """
        if callable(self.lr):
            return check_number(f"lr({t})", self.lr(t), 0)
        return float(self.lr)

    def rules_for(self, params: Params) -> dict[str, Rule]:
        """Return the rule of each parameter; of a `MatrixOr` the one that serves it.

        Raises
        ------
        ValueError
            If there is a rule for each name, and these are other names.
        """
        if isinstance(self.rule, dict):
            check_names("Optimizer.rule", params, self.rule)
            return {k: rule_for(self.rule[k], w) for k, w in params.items()}
        return {k: rule_for(self.rule, w) for k, w in params.items()}

    def check_state(
        self, state: OptimizerState, params: Params, rules: dict[str, Rule]
    ) -> None:
        """Refuse a state that is not one of these rules for these parameters.

        Raises
        ------
        ValueError
            It names the parameter and what is wrong.
        """
        if not isinstance(state, OptimizerState):
            raise ValueError(f"state must come from init or step, got {state!r}")
        check_names("state.rules", params, state.rules)
        for name, w in params.items():
            if rules[name].elementwise:
                check_state(name, state.rules[name], w, rules[name])
