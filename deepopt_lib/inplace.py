"""The optimizer's step in place: parameters that lie side by side share one loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import is_not

import numpy as np

from deepopt_lib.compose import MatrixOr
from deepopt_lib.fused import FusedRule, arrays, fused, part, rebuild
from deepopt_lib.types import Array, Grads, Params, Rule, State

__all__ = ["Group", "Layout", "can_fuse", "init_states", "lay_out"]


@dataclass
class Group:
    """Parameters with one rule that lie side by side, seen as one flat array."""

    spans: dict[str, slice]
    rule: Rule
    fused: FusedRule | None  # None: the rule is not elementwise and runs as it is
    w: Array
    state: State
    pieces: list[tuple[Array, State]]  # the same, parameter by parameter, laid
    seen: tuple[Array, ...] = ()  # the gradients of the last step,
    g: Array | None = None  # and all of them as one array, if they are neighbors

    def step(self, grads: Grads, lr: float, t: int) -> None:
        """Take the step of all these parameters, in place."""
        mine = tuple(grads[name] for name in self.spans)
        if len(self.seen) != len(mine) or any(map(is_not, self.seen, mine)):
            _check_gradients(self, mine)
            self.seen, self.g = mine, _flat(mine)
        if self.fused is None:
            u, new = self.rule.update(mine[0], self.state, self.w, t)
            self.w -= lr * u
            for old, fresh in zip(arrays(self.state), arrays(new), strict=True):
                old[...] = fresh
        elif self.g is not None:
            self.fused.step(self.w, self.g, self.state, lr, t)
        else:
            pairs = zip(self.pieces, mine, strict=True)
            self.fused.steps(((w, g.reshape(-1), s) for (w, s), g in pairs), lr, t)


@dataclass
class Layout:
    """The groups of a step, good as long as its arrays are the same objects."""

    params: tuple[Array, ...]
    states: tuple[State, ...]
    groups: list[Group]

    def fits(self, params: Params, states: dict[str, State]) -> bool:
        """Say whether this layout was made for these very arrays."""
        return (
            len(self.params) == len(params)
            and not any(map(is_not, self.params, params.values()))
            and not any(map(is_not, self.states, states.values()))
        )

    def step(self, grads: Grads, lr: float, t: int) -> None:
        """Take step ``t`` of every parameter, in place."""
        for group in self.groups:
            group.step(grads, lr, t)


def lay_out(
    params: Params, states: dict[str, State], rules: dict[str, Rule], threads: int
) -> Layout:
    """Join neighbors in memory that have one rule into groups.

    Raises
    ------
    ValueError
        If an array is not contiguous, is read-only or overlaps another.
    """
    _check(params, states)
    groups = []
    for names in _neighbors(params, rules, states):
        rule = _resolved(rules[names[0]], params[names[0]])
        if not rule.elementwise:
            name = names[0]
            whole = {name: slice(None)}
            groups.append(Group(whole, rule, None, params[name], states[name], []))
            continue
        w = _joined([params[name] for name in names])
        columns = zip(*(arrays(states[name]) for name in names), strict=True)
        state = rebuild(states[names[0]], [_joined(column) for column in columns])
        edges = np.cumsum([0, *(params[name].size for name in names)]).tolist()
        spans = {
            k: slice(a, b) for k, (a, b) in zip(names, pairwise(edges), strict=True)
        }
        loop = fused(rule, threads=threads)
        pieces = [(w[i], loop.laid(part(state, i))) for i in spans.values()]
        groups.append(Group(spans, rule, loop, w, state, pieces))
    return Layout(tuple(params.values()), tuple(states.values()), groups)


def init_states(params: Params, rules: dict[str, Rule]) -> dict[str, State]:
    """Return each parameter's state; neighbors get states that are neighbors too."""
    states: dict[str, State] = {}
    for names in _neighbors(params, rules, dict.fromkeys(params)):
        rule = _resolved(rules[names[0]], params[names[0]])
        if len(names) == 1:
            states[names[0]] = rule.init(params[names[0]])
            continue
        flat = rule.init(_joined([params[name] for name in names]))
        start = 0
        for name in names:
            w = params[name]
            views = [a[start : start + w.size].reshape(w.shape) for a in arrays(flat)]
            states[name] = rebuild(flat, views)
            start += w.size
    return {name: states[name] for name in params}


def can_fuse(rule: Rule) -> bool:
    """Say whether the rule, or one of its choices, is elementwise."""
    if isinstance(rule, MatrixOr):
        return can_fuse(rule.matrix) or can_fuse(rule.other)
    return rule.elementwise


def _resolved(rule: Rule, w: Array) -> Rule:
    while isinstance(rule, MatrixOr):
        rule = rule.matrix if w.ndim == 2 else rule.other
    return rule


def _neighbors(
    params: Params, rules: dict[str, Rule], states: dict[str, State]
) -> list[list[str]]:
    """Split the names into runs that one loop can serve."""
    runs: list[list[str]] = []
    for name, w in params.items():
        rule = _resolved(rules[name], w)
        if runs and rule.elementwise:
            last = runs[-1][-1]
            same = _resolved(rules[last], params[last]) == rule
            mine = (w, *arrays(states[name]))
            before = (params[last], *arrays(states[last]))
            if same and all(map(_follows, before, mine)):
                runs[-1].append(name)
                continue
        runs.append([name])
    return runs


def _follows(a: Array, b: Array) -> bool:
    """Say whether ``b`` starts where ``a`` ends, in the same flat buffer."""
    return (
        isinstance(a.base, np.ndarray)
        and a.base is b.base
        and a.base.ndim == 1
        and _address(a) + a.nbytes == _address(b)
    )


def _flat(parts: Sequence[Array]) -> Array | None:
    """Return one flat view of arrays that lie side by side, or None if they do not."""
    first = parts[0]
    if len(parts) == 1:
        return first.reshape(-1)
    if not all(map(_follows, parts, parts[1:])):
        return None
    buffer: Array = first.base  # type: ignore[assignment]
    start = (_address(first) - _address(buffer)) // buffer.itemsize
    return buffer[start : start + sum(a.size for a in parts)]


def _joined(parts: Sequence[Array]) -> Array:
    """Return one flat view of arrays that are known to lie side by side."""
    whole = _flat(parts)
    assert whole is not None
    return whole


def _address(a: Array) -> int:
    return int(a.__array_interface__["data"][0])


def _check_gradients(group: Group, grads: Sequence[Array]) -> None:
    """Refuse gradients that are not contiguous, or half the memory of a parameter."""
    for (name, i), g in zip(group.spans.items(), grads, strict=True):
        if not g.flags.c_contiguous:
            raise ValueError(
                f"grads[{name!r}] is not contiguous, as a fused step needs"
            )
        if np.may_share_memory(g, group.w) and (
            _address(g) != _address(group.w) + (i.start or 0) * g.itemsize
        ):
            raise ValueError(f"grads[{name!r}] overlaps the parameters in memory")


def _check(params: Params, states: dict[str, State]) -> None:
    """Refuse arrays that cannot be written to, before anything is changed."""
    named = [(f"params[{k!r}]", w) for k, w in params.items()]
    named += [(f"state of {k!r}", a) for k, s in states.items() for a in arrays(s)]
    for name, a in named:
        if not a.flags.c_contiguous:
            raise ValueError(f"{name} is not contiguous, which a fused step needs")
        if not a.flags.writeable:
            raise ValueError(f"{name} is read-only, and a fused step writes in place")
    filled = sorted((_address(a), a.nbytes, name) for name, a in named if a.size)
    for (start, size, name), (after, _, other) in pairwise(filled):
        if start + size > after:
            raise ValueError(f"{name} and {other} overlap in memory")
