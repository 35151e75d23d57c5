"""Rules made of rules."""

from __future__ import annotations

from dataclasses import dataclass

from deepopt_lib.core.types import Array, Rule, State
from deepopt_lib.optim.base import check_rule

__all__ = ["Chain", "MatrixOr", "chain", "rule_for"]


@dataclass(frozen=True)
class Chain:
    """Rules applied one after the other; the state is the tuple of their states."""

    rules: tuple[Rule, ...]

    @property
    def elementwise(self) -> bool:
        """True when every link is elementwise."""
        return all(rule.elementwise for rule in self.rules)

    def init(self, w: Array, /) -> tuple[State, ...]:
        """Return the tuple of the links' states."""
        return tuple(rule.init(w) for rule in self.rules)

    def update(
        self, g: Array, s: tuple[State, ...], w: Array, t: int, /
    ) -> tuple[Array, tuple[State, ...]]:
        """Pass the direction through every link in order."""
        states = []
        for rule, state in zip(self.rules, s, strict=True):
            g, state = rule.update(g, state, w, t)
            states.append(state)
        return g, tuple(states)


def chain(*rules: Rule) -> Chain:
    """Apply ``rules`` in order, each to the direction that the one before returns.

    The order is the lesson: ``chain(Adam(), WeightDecay(lam))`` is AdamW (Loshchilov
    and Hutter 2019, Algorithm 2), ``chain(WeightDecay(lam), Adam())`` is Adam with L2.

    Raises
    ------
    ValueError
        If there is no rule, or something that is not a rule.
    """
    if not rules:
        raise ValueError("chain needs at least one rule, got none")
    for i, rule in enumerate(rules):
        check_rule(f"chain: rule {i}", rule)
    return Chain(rules)


@dataclass(frozen=True)
class MatrixOr:
    """Use one rule for matrices (two axes) and another for everything else.

    Muon needs it: its step is defined for weight matrices only, and the biases of
    the same network take Adam's (Jordan et al. 2024).

    Raises
    ------
    ValueError
        If one of them is not a rule.
    """

    matrix: Rule
    other: Rule

    def __post_init__(self) -> None:
        """Refuse what is not a rule."""
        check_rule("MatrixOr.matrix", self.matrix)
        check_rule("MatrixOr.other", self.other)

    @property
    def elementwise(self) -> bool:
        """True when both rules are elementwise."""
        return self.matrix.elementwise and self.other.elementwise

    def init(self, w: Array, /) -> State:
        """Return the chosen rule's state."""
        return rule_for(self, w).init(w)

    def update(self, g: Array, s: State, w: Array, t: int, /) -> tuple[Array, State]:
        """Apply the chosen rule."""
        return rule_for(self, w).update(g, s, w, t)


def rule_for(rule: Rule, w: Array) -> Rule:
    """Return the rule that serves ``w``: of each choice, also in a chain, one."""
    if isinstance(rule, MatrixOr):
        return rule_for(rule.matrix if w.ndim == 2 else rule.other, w)
    if isinstance(rule, Chain):
        links = tuple(rule_for(link, w) for link in rule.rules)
        same = all(a is b for a, b in zip(links, rule.rules, strict=True))
        return rule if same else Chain(links)
    return rule
