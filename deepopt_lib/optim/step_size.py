"""Step sizes that the run chooses itself: hypergradient and line search."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from deepopt_lib.core.checks import check_bool, check_int, check_number
from deepopt_lib.core.tree import global_norm
from deepopt_lib.core.types import Grads, Params, Rule, State
from deepopt_lib.optim.arguments import (
    check_like,
    check_names,
    check_params,
    check_state,
)
from deepopt_lib.optim.base import check_rule
from deepopt_lib.optim.compose import rule_for
from deepopt_lib.optim.rules import GradientDescent

__all__ = ["Armijo", "HyperState", "Hypergradient"]


def _dot(a: Params, b: Params) -> float:
    return math.fsum(float(np.vdot(a[k], b[k])) for k in a)


class HyperState(NamedTuple):
    """Steps taken, the learning rate of the last one, its direction, rules' states."""

    t: int
    lr: float
    u: Params
    rules: dict[str, State]


@dataclass(frozen=True)
class Hypergradient:
    """Descend on the learning rate as well (Baydin et al. 2018, Algorithms 4 and 6).

    The slope of the loss in the learning rate of the step before is ``-(g @ u_before)``
    over all parameters, so that::

        lr = lr + beta * (g @ u_before)
        w  = w - lr * u

    ``relative``, the paper's multiplicative variant, multiplies lr by ``1 + beta*cos``
    instead, with the cosine of the angle between ``g`` and ``u_before``: ``beta`` then
    has no unit.

    Raises
    ------
    ValueError
        If ``lr`` or ``beta`` is not a number > 0 (``beta`` < 1 if relative), or
        ``rule`` is not a rule.
    """

    lr: float
    beta: float
    rule: Rule = field(default_factory=GradientDescent)
    relative: bool = False

    def __post_init__(self) -> None:
        """Check every field."""
        check_bool("Hypergradient.relative", self.relative)
        check_number("Hypergradient.lr", self.lr, 0, ends="()")
        most = 1.0 if self.relative else math.inf
        check_number("Hypergradient.beta", self.beta, 0, most, "()")
        check_rule("Hypergradient.rule", self.rule)

    def init(self, params: Params) -> HyperState:
        """Return the state before the first step."""
        check_params(params)
        states = {k: self.rule.init(w) for k, w in params.items()}
        return HyperState(0, float(self.lr), {}, states)

    def step(
        self, grads: Grads, state: HyperState, params: Params
    ) -> tuple[Params, HyperState]:
        """Take one step; return the new parameters and the new state.

        Raises
        ------
        ValueError
            If names or shapes of ``grads``, ``state`` and ``params`` differ, or the
            dtypes of ``grads`` and ``params``.
        """
        check_params(params)
        check_like("grads", params, grads)
        check_names("state.rules", params, state.rules)
        for k, w in params.items():
            rule = rule_for(self.rule, w)
            if rule.elementwise:
                check_state(k, state.rules[k], w, rule)
        t, lr = state.t + 1, state.lr
        if state.u:
            slope = _dot(grads, state.u)
            size = global_norm(grads) * global_norm(state.u)
            if not self.relative:
                lr = lr + self.beta * slope
            elif size > 0:
                lr = lr * (1 + self.beta * slope / size)
        u, rules = {}, {}
        for k, w in params.items():
            u[k], rules[k] = self.rule.update(grads[k], state.rules[k], w, t)
        new = {k: np.asanyarray(w - lr * u[k]) for k, w in params.items()}
        return new, HyperState(t, lr, u, rules)


@dataclass(frozen=True)
class Armijo:
    """Backtracking line search along ``-g`` (Nocedal and Wright 2006, Algorithm 3.1).

    Try ``lr``, then ``shrink*lr``, ... until the loss falls by a share ``c`` of what
    the slope promises: ``f(w - lr*g) <= f(w) - c * lr * |g|**2``. With f and g of one
    mini-batch it is the stochastic line search, where each search starts at ``grow``
    times the last step, and not above ``largest``.

    Raises
    ------
    ValueError
        If ``c`` or ``shrink`` is outside (0, 1), ``grow`` is not a number >= 1,
        ``largest`` not a number > 0 or ``most`` not an int >= 1.
    """

    c: float = 0.1
    shrink: float = 0.7
    grow: float = 1.5
    largest: float = 100.0
    most: int = 60

    def __post_init__(self) -> None:
        """Check every field."""
        check_number("Armijo.c", self.c, 0, 1, "()")
        check_number("Armijo.shrink", self.shrink, 0, 1, "()")
        check_number("Armijo.largest", self.largest, 0, ends="()")
        check_number("Armijo.grow", self.grow, 1)
        check_int("Armijo.most", self.most)

    def step(
        self, f: Callable[[Params], float], grads: Grads, lr: float, params: Params
    ) -> tuple[Params, float, int]:
        """Search from ``grow * lr`` down; return new parameters, their lr, the tries.

        ``f`` is the loss whose gradient at ``params`` is ``grads``; each try costs one
        call of it, and one more is made at ``params``. After ``most`` tries the
        parameters are returned as they were.

        Raises
        ------
        ValueError
            If names, shapes or dtypes differ, ``lr`` is not a number > 0, or the loss
            at ``params`` is not finite.
        """
        check_params(params)
        check_like("grads", params, grads)
        lr = check_number("lr", lr, 0, ends="()")
        now, slope = float(f(params)), _dot(grads, grads)
        if not math.isfinite(now):
            raise ValueError(f"the loss at params is {now}")
        lr = float(min(self.grow * lr, self.largest))
        for tries in range(1, self.most + 1):
            new = {k: np.asanyarray(w - lr * grads[k]) for k, w in params.items()}
            if float(f(new)) <= now - self.c * lr * slope:
                return new, lr, tries
            lr = self.shrink * lr
        return dict(params), lr, self.most
