"""Reads a rule by running it: its own ``update``, called with tracers for arrays.

A tracer stands for an array of the loop, a scalar for a number made of the step and
of hyper-parameters. Operations on them are recorded instead of computed, so that
names, aliases, helper functions and lambdas need no rules of their own: Python has
resolved them. What cannot be an operation on one entry, such as a sum or an ``if`` on a
value, raises here, and the message names the line.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import numpy as np

from deepopt_lib.core.tree import flatten, unflatten
from deepopt_lib.core.types import Rule
from deepopt_lib.optim.arguments import form
from deepopt_lib.optim.inplace.program import Program
from deepopt_lib.optim.inplace.scalar import RefusedError, Scalar
from deepopt_lib.optim.inplace.tracer import Graph

__all__ = ["trace"]

NUMPY = str(Path(np.__file__).parent)


def trace(rule: Rule, dtype: Any) -> Program:
    """Return what ``rule.update`` does to one entry of arrays of ``dtype``.

    Raises
    ------
    ValueError
        If it does something else than arithmetic on entries. The message names the
        rule and the line, and says that the pure step works.
    """
    graph = Graph(np.dtype(dtype))
    state = rule.init(np.zeros(1, dtype))
    inputs: Any = [graph.input(j) for j in range(2 + len(flatten(state)))]
    g, w, *old = inputs
    t: Any = Scalar.step()
    try:
        direction, new = rule.update(g, unflatten(state, old), w, t)
        if form(new) != form(state):
            raise RefusedError(f"a state {form(state)} becomes {form(new)}")
        leaves = _leaves(new)
        parts = [graph.real(graph.index(leaf)) for leaf in (direction, *leaves)]
    except Exception as error:
        what = str(error) or type(error).__name__
        line = _line(error)
        raise ValueError(
            f"{type(rule).__name__}.update{line}: {what}: this cannot be a loop over "
            "entries; the pure step works"
        ) from None
    return Program(
        tuple(graph.operations), tuple(graph.constants), parts[0], tuple(parts[1:])
    )


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, tuple | list):
        return [leaf for inner in tree for leaf in _leaves(inner)]
    return [] if tree is None else [tree]


def _line(error: Exception) -> str:
    """Say where in the caller's code it happened: the deepest line that is not ours."""
    frames = traceback.extract_tb(error.__traceback__)
    here = str(Path(__file__).parent)
    theirs = [f for f in frames if not f.filename.startswith((here, NUMPY))]
    if not theirs:
        return ""
    text = f": {theirs[-1].line!r}" if theirs[-1].line else ""
    return f", line {theirs[-1].lineno}{text}"
