"""The optimizer: lifts rules from one array to named parameters and takes the step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from deepopt_lib.compose import MatrixOr, chain, check_rule
from deepopt_lib.rules import (
    AdaGrad,
    Adam,
    GradientDescent,
    Lion,
    Momentum,
    Orthogonalize,
    RMSprop,
    WeightDecay,
)
from deepopt_lib.tree import same_names
from deepopt_lib.types import Array, Grads, Params, Rule, Schedule, State

__all__ = [
    "Optimizer",
    "OptimizerState",
    "adagrad",
    "adam",
    "adamw",
    "lion",
    "momentum",
    "muon",
    "rmsprop",
    "sgd",
]


class OptimizerState(NamedTuple):
    """Steps taken so far, and the rule's state of each parameter by name."""

    t: int
    rules: dict[str, State]


@dataclass(frozen=True)
class Optimizer:
    """Apply a rule to every parameter: ``w <- w - lr(t) * u``, with ``t`` from 1.

    Nothing is changed in place: ``step`` returns new parameters and a new state, so an
    old state can be kept, compared or returned to.

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
            check_rule(rule, f"Optimizer.rule {name}".rstrip())
        if not callable(self.lr):
            _check_lr(self.lr, "Optimizer.lr")

    def init(self, params: Params) -> OptimizerState:
        """Return the state before the first step.

        Raises
        ------
        ValueError
            If ``params`` is empty, holds something other than floating-point arrays, or
            has other names than the rules, or if a rule cannot serve a parameter.
        """
        _check_params(params)
        rules = self._rules(params)
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
            If names, shapes or dtypes of ``grads``, ``state`` and ``params`` differ,
            or if the schedule returns something other than a learning rate.
        """
        _check_params(params)
        if not isinstance(state, OptimizerState):
            raise ValueError(f"state must come from init or step, got {state!r}")
        _check_same("grads", params, grads)
        _check_same("state.rules", params, state.rules)
        for name, w in params.items():
            g = grads[name]
            if not _alike(g, w):
                raise ValueError(
                    f"grads[{name!r}] must be {_kind(w)} like params[{name!r}], "
                    f"got {_kind(g)}"
                )
        t = state.t + 1
        lr = self.lr_at(t)
        rules = self._rules(params)
        new_params, new_states = {}, {}
        for name, w in params.items():
            u, new_states[name] = rules[name].update(
                grads[name], state.rules[name], w, t
            )
            new_params[name] = np.asanyarray(w - lr * u)  # 0-d stays an array
        return new_params, OptimizerState(t, new_states)

    def lr_at(self, t: int) -> float:
        """Return the learning rate of step ``t``, checked."""
        if callable(self.lr):
            return _check_lr(self.lr(t), f"lr({t})")
        return float(self.lr)

    def _rules(self, params: Params) -> dict[str, Rule]:
        if isinstance(self.rule, dict):
            _check_same("Optimizer.rule", params, self.rule)
            return self.rule
        return dict.fromkeys(params, self.rule)


def _check_lr(lr: Any, name: str) -> float:
    number = isinstance(lr, int | float | np.floating) and not isinstance(lr, bool)
    if not (number and 0 <= lr < math.inf):
        raise ValueError(f"{name} must be a finite number >= 0, got {lr!r}")
    return float(lr)


def _check_params(params: Any) -> None:
    if not isinstance(params, dict) or not params:
        raise ValueError(f"params must be a dict with an array or more, got {params!r}")
    for name, w in params.items():
        if not (isinstance(w, np.ndarray) and w.dtype.kind == "f"):
            raise ValueError(
                f"params[{name!r}] must be a floating-point array, got {_kind(w)}"
            )


def _check_same(what: str, params: Params, other: dict[str, Any]) -> None:
    if not isinstance(other, dict):
        raise ValueError(f"{what} must be a dict, got {other!r}")
    try:
        same_names(params, other)
    except ValueError as error:
        raise ValueError(f"{what} does not fit params: {error}") from None


def _alike(g: Any, w: Array) -> bool:
    # NumPy turns a 0-d array into a scalar at the first operation.
    array = isinstance(g, np.ndarray | np.floating)
    return array and g.shape == w.shape and g.dtype == w.dtype


def _kind(w: Any) -> str:
    return f"{w.dtype} {w.shape}" if isinstance(w, np.ndarray) else repr(w)


def sgd(lr: float | Schedule) -> Optimizer:
    """Return (stochastic) gradient descent: ``w <- w - lr*g``."""
    return Optimizer(GradientDescent(), lr)


def momentum(lr: float | Schedule, mu: float = 0.9) -> Optimizer:
    """Return heavy-ball momentum (Polyak 1964)."""
    return Optimizer(Momentum(mu), lr)


def adagrad(lr: float | Schedule) -> Optimizer:
    """Return AdaGrad (Duchi et al. 2011)."""
    return Optimizer(AdaGrad(), lr)


def rmsprop(lr: float | Schedule) -> Optimizer:
    """Return RMSprop (Tieleman and Hinton 2012)."""
    return Optimizer(RMSprop(), lr)


def adam(lr: float | Schedule) -> Optimizer:
    """Return Adam (Kingma and Ba 2015)."""
    return Optimizer(Adam(), lr)


def adamw(lr: float | Schedule, lam: float = 0.01) -> Optimizer:
    """Return AdamW (Loshchilov and Hutter 2019): the decay follows Adam."""
    return Optimizer(chain(Adam(), WeightDecay(lam)), lr)


def lion(lr: float | Schedule, lam: float = 0.0) -> Optimizer:
    """Return Lion (Chen et al. 2023) with decoupled weight decay."""
    return Optimizer(chain(Lion(), WeightDecay(lam)), lr)


def muon(lr: float | Schedule) -> Optimizer:
    """Return Muon (Jordan et al. 2024) for matrices, Adam for all else, at one lr."""
    matrix = chain(Momentum(0.95, nesterov=True, ema=True), Orthogonalize())
    return Optimizer(MatrixOr(matrix, Adam()), lr)
