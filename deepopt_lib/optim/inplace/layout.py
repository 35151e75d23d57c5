"""The optimizer's step in place: parameters that lie side by side share one loop."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from operator import is_not

import numpy as np

from deepopt_lib.core.tree import flatten, unflatten
from deepopt_lib.core.types import Array, Grads, Params, Rule, State
from deepopt_lib.optim.arguments import check_like, check_names, check_state
from deepopt_lib.optim.compose import MatrixOr
from deepopt_lib.optim.inplace.fused import BLOCK, FusedRule, fused, part
from deepopt_lib.optim.inplace.memory import address, flat, follows, joined, owner

__all__ = ["Group", "Layout", "can_fuse", "init_states", "lay_out", "resolved"]


@dataclass
class Group:
    """Parameters with one rule that lie side by side, seen as one flat array."""

    spans: dict[str, slice]
    rule: Rule
    fused: FusedRule | None  # None: the rule is not elementwise and runs as it is
    w: Array
    state: State
    pieces: list[tuple[Array, State]]  # the same, parameter by parameter, laid
    grads: tuple[Array, ...] = ()
    g: Array | None = None  # all gradients as one array, if they are neighbors

    def take(self, grads: Grads) -> None:
        """Keep the gradients of the next step."""
        self.grads = tuple(grads[name] for name in self.spans)
        self.g = flat(self.grads)

    def step(self, lr: float, t: int) -> None:
        """Take the step of all these parameters, in place."""
        if self.fused is None:
            u, new = self.rule.update(self.grads[0], self.state, self.w, t)
            self.w -= lr * u
            for old, fresh in zip(flatten(self.state), flatten(new), strict=True):
                old[...] = fresh
        elif self.g is not None:
            self.fused.step(self.w, self.g, self.state, lr, t)
        elif self.w.size <= BLOCK:  # a copy in the cache is cheaper than many calls
            g = np.concatenate([g.reshape(-1) for g in self.grads])
            self.fused.step(self.w, g, self.state, lr, t)
        else:
            pairs = zip(self.pieces, self.grads, strict=True)
            self.fused.steps(((w, g.reshape(-1), s) for (w, s), g in pairs), lr, t)


@dataclass
class Layout:
    """The groups of a step, good as long as its arrays are the same objects."""

    params: tuple[Array, ...]
    states: tuple[State, ...]
    groups: list[Group]
    owners: set[int]  # of the parameters' memory
    seen: tuple[Array, ...] = ()  # the gradients that the groups hold, checked

    def fits(self, params: Params, states: dict[str, State]) -> bool:
        """Say whether this layout was made for these very arrays."""
        return (
            len(self.params) == len(params)
            and not any(map(is_not, self.params, params.values()))
            and not any(map(is_not, self.states, states.values()))
        )

    def step(self, params: Params, grads: Grads, lr: float, t: int) -> None:
        """Take step ``t`` of every parameter, in place.

        Raises
        ------
        ValueError
            If the gradients are not like ``params``, not contiguous, or overlap them.
            Nothing has changed then.
        """
        check_names("grads", params, grads)
        mine = tuple(map(grads.__getitem__, params))
        if len(self.seen) != len(mine) or any(map(is_not, self.seen, mine)):
            check_like("grads", params, grads)
            _check_gradients(params, self.owners, grads)
            for group in self.groups:
                group.take(grads)
            self.seen = mine
        for group in self.groups:
            group.step(lr, t)


def lay_out(
    params: Params, states: dict[str, State], rules: dict[str, Rule], threads: int
) -> Layout:
    """Join neighbors in memory that have one rule into groups.

    Raises
    ------
    ValueError
        If an array is not contiguous, is read-only or overlaps another, or a state is
        not like its parameter.
    """
    _check(params, states)
    for name, w in params.items():
        if resolved(rules[name], w).elementwise:
            check_state(name, states[name], w, strict=True)
    groups = []
    for names in _neighbors(params, rules, states):
        rule = resolved(rules[names[0]], params[names[0]])
        if not rule.elementwise:
            name = names[0]
            whole = {name: slice(None)}
            groups.append(Group(whole, rule, None, params[name], states[name], []))
            continue
        w = joined([params[name] for name in names])
        columns = zip(*(flatten(states[name]) for name in names), strict=True)
        state = unflatten(states[names[0]], [joined(column) for column in columns])
        edges = np.cumsum([0, *(params[name].size for name in names)]).tolist()
        spans = {
            k: slice(a, b) for k, (a, b) in zip(names, pairwise(edges), strict=True)
        }
        loop = fused(rule, threads=threads)
        pieces = [(w[i], loop.laid(part(state, i))) for i in spans.values()]
        groups.append(Group(spans, rule, loop, w, state, pieces))
    owners = {id(owner(w)) for w in params.values()}
    return Layout(tuple(params.values()), tuple(states.values()), groups, owners)


def init_states(params: Params, rules: dict[str, Rule]) -> dict[str, State]:
    """Return each parameter's state; neighbors get states that are neighbors too."""
    states: dict[str, State] = {}
    for names in _neighbors(params, rules, dict.fromkeys(params)):
        rule = resolved(rules[names[0]], params[names[0]])
        if len(names) == 1:
            states[names[0]] = rule.init(params[names[0]])
            continue
        whole = rule.init(joined([params[name] for name in names]))
        start = 0
        for name in names:
            w = params[name]
            views = [a[start : start + w.size].reshape(w.shape) for a in flatten(whole)]
            states[name] = unflatten(whole, views)
            start += w.size
    return {name: states[name] for name in params}


def can_fuse(rule: Rule) -> bool:
    """Say whether the rule, or one of its choices, is elementwise."""
    if isinstance(rule, MatrixOr):
        return can_fuse(rule.matrix) or can_fuse(rule.other)
    return rule.elementwise


def resolved(rule: Rule, w: Array) -> Rule:
    """Return the rule that serves ``w``: one of two, if the rule is a choice."""
    while isinstance(rule, MatrixOr):
        rule = rule.matrix if w.ndim == 2 else rule.other
    return rule


def _neighbors(
    params: Params, rules: dict[str, Rule], states: dict[str, State]
) -> list[list[str]]:
    """Split the names into runs that one loop can serve."""
    runs: list[list[str]] = []
    for name, w in params.items():
        rule = resolved(rules[name], w)
        if runs and rule.elementwise:
            last = runs[-1][-1]
            same = resolved(rules[last], params[last]) == rule
            mine = (w, *flatten(states[name]))
            before = (params[last], *flatten(states[last]))
            if same and all(map(follows, before, mine)):
                runs[-1].append(name)
                continue
        runs.append([name])
    return runs


def _check_gradients(params: Params, owners: set[int], grads: Grads) -> None:
    """Refuse gradients that are not contiguous, or lie in another's memory."""
    for name, w in params.items():
        g = grads[name]
        if not g.flags.c_contiguous:
            raise ValueError(
                f"grads[{name!r}] is not contiguous, as a fused step needs"
            )
        if id(owner(g)) not in owners or address(g) == address(w):
            continue  # its own place is no danger
        if any(np.may_share_memory(g, other) for other in params.values()):
            raise ValueError(f"grads[{name!r}] overlaps the parameters in memory")


def _check(params: Params, states: dict[str, State]) -> None:
    """Refuse arrays that cannot be written to, before anything is changed."""
    named = [(f"params[{k!r}]", w) for k, w in params.items()]
    named += [(f"state of {k!r}", a) for k, s in states.items() for a in flatten(s)]
    for name, a in named:
        if not a.flags.c_contiguous:
            raise ValueError(f"{name} is not contiguous, which a fused step needs")
        if not a.flags.writeable:
            raise ValueError(f"{name} is read-only, and a fused step writes in place")
    filled = sorted((address(a), a.nbytes, name) for name, a in named if a.size)
    for (start, size, name), (after, _, other) in pairwise(filled):
        if start + size > after:
            raise ValueError(f"{name} and {other} overlap in memory")
