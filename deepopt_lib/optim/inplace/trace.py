"""Reads a rule by running it: its own ``update``, called with tracers for arrays.

A `Tracer` stands for an array of the loop, a `Scalar` for a number made of the step and
of hyper-parameters. Operations on them are recorded instead of computed, so that
names, aliases, helper functions and lambdas need no rules of their own: Python has
resolved them. What cannot be an operation on one entry, such as a sum or an ``if`` on a
value, raises here, and the message names the line.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from deepopt_lib.core.tree import flatten, unflatten
from deepopt_lib.core.types import Rule
from deepopt_lib.optim.arguments import form
from deepopt_lib.optim.inplace.program import FUNCTIONS, Program
from deepopt_lib.optim.inplace.scalar import (
    Number,
    RefusedError,
    Scalar,
    refuse,
    scalar,
)

__all__ = ["trace"]

NUMPY = str(Path(np.__file__).parent)
LOGICAL = {
    "logical_and": "bitwise_and",
    "logical_or": "bitwise_or",
    "logical_xor": "bitwise_xor",
    "logical_not": "invert",
}
SAME: dict[str, Callable[[Any], tuple[str, tuple[Any, ...]]]] = {
    "square": lambda x: ("multiply", (x, x)),
    "reciprocal": lambda x: ("divide", (1.0, x)),
    "positive": lambda x: ("multiply", (x, 1.0)),
}
POWERS: dict[float, Callable[[Any], Any]] = {  # as NumPy takes them
    -1.0: lambda x: 1.0 / x,
    0.5: np.sqrt,
    1.0: lambda x: x,
    2.0: lambda x: x * x,
}


def trace(rule: Rule, dtype: Any) -> Program:
    """Return what ``rule.update`` does to one entry of arrays of ``dtype``.

    Raises
    ------
    ValueError
        If it does something else than arithmetic on entries. The message names the
        rule and the line, and says that the pure step works.
    """
    graph = _Graph(np.dtype(dtype))
    state = rule.init(np.zeros(1, dtype))
    inputs: Any = [graph.input(j) for j in range(2 + len(flatten(state)))]
    g, w, *old = inputs
    t: Any = Scalar.step()
    try:
        direction, new = rule.update(g, unflatten(state, old), w, t)
        if form(new) != form(state):
            raise RefusedError(f"the state {state!r} becomes {new!r}")
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


class _Graph:
    """The operations recorded so far; an operation that was there is found again."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.operations: list[tuple[str, tuple[int, ...]]] = []
        self.constants: list[Number] = []
        self.known: dict[Any, int] = {}
        self.logical: set[int] = set()  # operations whose value is true or false

    def input(self, j: int) -> Tracer:
        return Tracer(self, self.add("input", j))

    def add(self, name: str, *parts: int) -> int:
        key = (name, parts)
        if key not in self.known:
            self.known[key] = len(self.operations)
            self.operations.append(key)
        return self.known[key]

    def constant(self, value: Scalar) -> int:
        if value.key not in self.known:
            self.constants.append(value.at)
            j = len(self.constants) - 1
            self.known[value.key] = self.add("constant", j)
        return self.known[value.key]

    def index(self, x: Any) -> int:
        """Return the operation that ``x`` is, a number among them."""
        if isinstance(x, Tracer):
            if x.graph is not self:
                raise RefusedError("an array of another call")
            return x.number
        value = scalar(x)
        if np.result_type(self.dtype, value.sample()) != self.dtype:
            raise RefusedError(
                f"{value.sample()!r} would make {self.dtype} arrays wider"
            )
        return self.constant(value)

    def real(self, i: int) -> int:
        """Return operation ``i`` as a number, where it is true or false."""
        if i not in self.logical:
            return i
        one, zero = self.constant(scalar(1.0)), self.constant(scalar(0.0))
        return self.add("where", i, one, zero)

    def apply(self, name: str, *inputs: Any) -> Tracer:
        """Record a function of NumPy."""
        name = LOGICAL.get(name, name)
        if name == "power" and not isinstance(inputs[1], Tracer):
            special = POWERS.get(scalar(inputs[1]).fixed())
            if special is not None:
                return special(inputs[0])  # type: ignore[no-any-return]
        if name == "divide" and not isinstance(inputs[1], Tracer):
            name, inputs = "multiply", (inputs[0], scalar(inputs[1]).inverse())
        if name in SAME:
            name, inputs = SAME[name](inputs[0])
        if name not in FUNCTIONS:
            raise RefusedError(f"np.{name}")
        parts = [self.index(x) for x in inputs]
        bits = name.startswith("bitwise") or name == "invert"
        if bits and not self.logical.issuperset(parts):
            raise RefusedError(f"np.{name} of what is not true or false")
        if not bits:
            first = parts[:1] if name == "where" else []
            parts = [*first, *(self.real(i) for i in parts[len(first) :])]
        if name == "where" and parts[0] not in self.logical:
            raise RefusedError("np.where of what is not true or false")
        i = self.add(name, *parts)
        truth = bits or name.startswith(("less", "greater", "equal", "not_eq", "is"))
        if truth:
            self.logical.add(i)
        return Tracer(self, i)


class Tracer(NDArrayOperatorsMixin):
    """An array of the loop, of which an operation may only see one entry."""

    def __init__(self, graph: _Graph, number: int) -> None:
        self.graph, self.number = graph, number

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the arrays."""
        return self.graph.dtype

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, **more: Any
    ) -> Tracer:
        if "out" in more:
            raise RefusedError("it writes in place")
        if method != "__call__" or more:
            raise RefusedError(f"np.{ufunc.__name__}.{method} with {sorted(more)}")
        return self.graph.apply(ufunc.__name__, *inputs)

    def __array_function__(
        self, function: Any, types: Any, args: Any, more: Any
    ) -> Tracer:
        fill = {np.zeros_like: 0.0, np.ones_like: 1.0}
        if function is np.where and len(args) == 3 and not more:
            return self.graph.apply("where", *args)
        if function in fill and not more:
            constant = self.graph.constant(scalar(fill[function]))
            return Tracer(self.graph, constant)
        raise RefusedError(f"np.{function.__name__}")

    def copy(self) -> Tracer:
        """Return the same: nothing here is ever written to."""
        return self

    def __getattr__(self, name: str) -> NoReturn:
        raise RefusedError(f"the attribute {name}")

    __bool__ = refuse("a decision on the value of an entry")
    __float__ = __int__ = __index__ = refuse("an entry as a number of Python")
    __getitem__ = __setitem__ = __iter__ = __len__ = refuse("single entries")
    __array__ = refuse("the whole array")
    __hash__ = None  # type: ignore[assignment]
