"""What stands for arrays while a rule is read: tracers, and the graph they record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from deepopt_lib.optim.inplace.program import FUNCTIONS
from deepopt_lib.optim.inplace.scalar import (
    RefusedError,
    Scalar,
    refuse,
    scalar,
)

__all__ = ["Graph", "Tracer"]

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
BITS = ("bitwise_and", "bitwise_or", "bitwise_xor", "invert")
TRUTH = (
    *BITS,
    *("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"),
    *("isnan", "isfinite", "isinf"),
)


class Graph:
    """The operations recorded so far; an operation that was there is found again."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.operations: list[tuple[str, tuple[int, ...]]] = []
        self.constants: list[Scalar] = []
        self.known: dict[Any, int] = {}
        self.logical: set[int] = set()  # operations whose value is true or false

    def input(self, j: int) -> Tracer:
        """Return array number ``j`` of the loop."""
        return Tracer(self, self.add("input", j))

    def add(self, name: str, *parts: int) -> int:
        """Return the number of an operation on earlier ones."""
        key = (name, parts)
        if key not in self.known:
            self.known[key] = len(self.operations)
            self.operations.append(key)
        return self.known[key]

    def constant(self, value: Scalar) -> int:
        """Return the operation that is a number."""
        if value.key not in self.known:
            self.constants.append(value)
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
        if name in SAME:
            name, inputs = SAME[name](inputs[0])
        last = inputs[-1]
        if name == "power" and not isinstance(last, Tracer):
            special = POWERS.get(scalar(last).fixed())
            if special is not None:
                return special(inputs[0])  # type: ignore[no-any-return]
        if name == "divide" and not isinstance(last, Tracer):
            name, inputs = "multiply", (inputs[0], scalar(last).inverse())
        if name not in FUNCTIONS:
            raise RefusedError(f"np.{name}")
        parts = [self.index(x) for x in inputs]
        conditions = parts if name in BITS else parts[: name == "where"]
        if not self.logical.issuperset(conditions):
            raise RefusedError(f"np.{name} of what is not true or false")
        numbers = map(self.real, parts[len(conditions) :])
        i = self.add(name, *conditions, *numbers)
        if name in TRUTH:
            self.logical.add(i)
        return Tracer(self, i)


class Tracer(NDArrayOperatorsMixin):
    """An array of the loop, of which an operation may only see one entry."""

    def __init__(self, graph: Graph, number: int) -> None:
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
        if name.startswith("__"):  # Python and NumPy look whether it is there
            raise AttributeError(name)
        raise RefusedError(f"the attribute {name}")

    __bool__ = refuse("a decision on the value of an entry")
    __float__ = __int__ = __index__ = refuse("an entry as a number of Python")
    __getitem__ = __setitem__ = __iter__ = __len__ = refuse("single entries")
    __array__ = refuse("the whole array")
    __hash__ = None  # type: ignore[assignment]
