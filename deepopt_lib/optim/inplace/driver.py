"""The step in place: an object that owns its parameters and their state."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deepopt_lib.core.checks import check_int
from deepopt_lib.core.tree import flatten, unflatten
from deepopt_lib.core.types import Array, Grads, Params, Rule, State
from deepopt_lib.optim.arguments import check_like, check_params
from deepopt_lib.optim.inplace.buffers import Buffers, read_only
from deepopt_lib.optim.inplace.kernel import Kernel, make_kernel
from deepopt_lib.optim.optimizer import Optimizer, OptimizerState

__all__ = ["InPlace"]

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


@dataclass
class _Group:
    """Parameters with one elementwise rule and one dtype: a loop serves them all."""

    rule: Rule
    names: list[str] = field(default_factory=list)
    buffers: Buffers = field(init=False)
    kernel: Kernel = field(init=False)


class InPlace:
    """Take an optimizer's steps in place, at the speed of memory.

    The numbers are those of `Optimizer.step`, to the last bit but where a rule divides
    by a constant (`deepopt_lib.optim.inplace.program`). Parameters and states are
    copied into buffers of this object, in which those of one rule lie side by side; an
    elementwise rule becomes one loop over them, another one runs as it is. ::

        run = InPlace(adamw(1e-3), params)
        run.step(grads)
        loss = f(run.params)

    A copy (`copy.copy`, `copy.deepcopy`, pickle) has buffers of its own and goes on by
    itself. To resume, give ``state``; to go on without changing anything in place, give
    deep copies of `params` and `state` to `Optimizer.step`.

    Parameters
    ----------
    optimizer : Optimizer
        The rules and the learning rate.
    params : dict
        Arrays of float32 or float64; copied.
    threads : int
        How many threads share the loop over a large array.
    state : OptimizerState, optional
        Where to go on; copied. By default ``optimizer.init(params)``.
    compiled : bool, optional
        True insists on numba, False on blocks of NumPy; by default numba if installed.

    Attributes
    ----------
    params : dict
        Views of the parameters, read-only; the next step changes what they show.

    Raises
    ------
    ValueError
        If an argument is not what it should be, a parameter has another dtype, the
        state is not the rule's, or an elementwise rule cannot be a loop; then the
        message names the line of the rule.
    ImportError
        If ``compiled`` is True and numba is missing.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        params: Params,
        threads: int = 1,
        *,
        state: OptimizerState | None = None,
        compiled: bool | None = None,
    ) -> None:
        if not isinstance(optimizer, Optimizer):
            raise ValueError(f"optimizer must be an Optimizer, got {optimizer!r}")
        check_params(params)
        for name, w in params.items():
            if w.dtype not in DTYPES or not w.dtype.isnative:
                raise ValueError(
                    f"params[{name!r}] must be float32 or float64 in native bytes for "
                    f"a step in place, got {w.dtype.str}"
                )
        rules = optimizer.rules_for(params)
        state = optimizer.init(params) if state is None else state
        optimizer.check_state(state, params, rules)
        self.optimizer = optimizer
        self.threads = check_int("threads", threads)
        self.compiled = compiled
        self._t = state.t
        self._states: dict[str, State] = dict.fromkeys(params)
        self._groups = _grouped(params, rules)
        self._alone: dict[str, Array] = {}  # what no loop serves, to be written to
        shown: Params = {}
        for group in self._groups:
            group.kernel = make_kernel(
                group.rule, params[group.names[0]].dtype, compiled
            )
            columns = [(params[k], *flatten(state.rules[k])) for k in group.names]
            group.buffers = Buffers(columns)
            for k, views in zip(group.names, group.buffers.views, strict=True):
                shown[k] = views[0]
                self._states[k] = unflatten(state.rules[k], views[1:])
        for k in params.keys() - shown.keys():
            self._alone[k] = np.array(params[k], order="C")
            shown[k] = read_only(self._alone[k])
            self._states[k] = _kept(state.rules[k])
        self._rules = {k: rules[k] for k in self._alone}
        self.params = {k: shown[k] for k in params}

    @property
    def state(self) -> OptimizerState:
        """The optimizer's state; its arrays are views, read-only, like `params`."""
        return OptimizerState(self._t, dict(self._states))

    def step(self, grads: Grads) -> None:
        """Take one step: `params` and `state` show the new numbers.

        Raises
        ------
        ValueError
            If names, shapes or dtypes of ``grads`` are not those of the parameters, or
            the schedule returns no learning rate. Nothing has changed then.
        """
        check_like("grads", self.params, grads)
        t = self._t + 1
        lr = self.optimizer.lr_at(t)
        new = {
            k: rule.update(grads[k], self._states[k], self.params[k], t)
            for k, rule in self._rules.items()
        }
        copies = {k: (lr * u, _kept(s)) for k, (u, s) in new.items()}
        loops = [group.kernel(lr, t) for group in self._groups]
        taken = [g.buffers.take([grads[k] for k in g.names]) for g in self._groups]
        for group, loop, own in zip(self._groups, loops, taken, strict=True):
            group.buffers.run(loop, own, self.threads)
        for k, (change, state) in copies.items():
            self._alone[k] -= change
            self._states[k] = state
        self._t = t

    def __reduce__(self) -> tuple[Any, ...]:
        """Say how to make a copy: it has buffers of its own, at the same step."""
        keep = (self.optimizer, self.params, self.threads, self.state, self.compiled)
        return _again, keep


def _again(
    optimizer: Optimizer,
    params: Params,
    threads: int,
    state: OptimizerState,
    compiled: bool | None,
) -> InPlace:
    return InPlace(optimizer, params, threads, state=state, compiled=compiled)


def _grouped(params: Params, rules: dict[str, Rule]) -> list[_Group]:
    groups: dict[Hashable, _Group] = {}
    for k, w in params.items():
        rule = rules[k]
        if rule.elementwise:
            key = (rule if _has_hash(rule) else id(rule), w.dtype)
            groups.setdefault(key, _Group(rule)).names.append(k)
    return list(groups.values())


def _has_hash(rule: Rule) -> bool:
    try:
        hash(rule)
    except TypeError:
        return False
    return True


def _kept(state: State) -> State:
    """Copy a state: it may share memory with what the caller changes later."""
    return unflatten(state, [read_only(a.copy()) for a in flatten(state)])
