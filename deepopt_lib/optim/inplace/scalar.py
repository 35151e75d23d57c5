"""Numbers that depend on the step: computed anew at every step, outside of the loop.

``1 - self.b1**t`` is one of them. It is computed by Python, in double precision, and
rounded once to the dtype of the arrays, just as NumPy rounds a Python float beside an
array: so ``1 - b2`` keeps its precision, and no literal makes float32 arrays wider.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

__all__ = ["Number", "RefusedError", "Scalar", "refuse", "scalar"]

Number = Callable[[int], Any]
"""A number that may depend on the step t."""


class RefusedError(Exception):
    """What was asked of a tracer that one entry alone cannot answer."""


def refuse(what: str) -> Callable[..., NoReturn]:
    """Return a method that refuses, and says what was asked."""

    def refused(self: Any, *_: Any) -> NoReturn:
        raise RefusedError(what)

    return refused


class Scalar:
    """A number made of the step and of other numbers, computed anew at every step."""

    def __init__(self, key: Any, at: Number) -> None:
        self.key, self.at = key, at

    @classmethod
    def step(cls) -> Scalar:
        """Return the step t itself."""
        return cls("t", lambda t: t)

    def sample(self) -> Any:
        """Return the number at some step; its type is the same at all of them."""
        try:
            return self.at(3)
        except ArithmeticError as error:
            raise RefusedError(f"{error} at step 3") from None

    @property
    def changes(self) -> bool:
        """Whether it depends on the step."""
        return bool(self.key[0] != "number")

    def fixed(self) -> float:
        """Return the number if it is the same at every step, or else NaN."""
        return math.nan if self.changes else float(self.at(0))

    def inverse(self) -> Scalar:
        """Return its reciprocal, infinite where it is zero."""
        number = self.at

        def at(t: int) -> float:
            x = number(t)
            return 1 / x if x else math.copysign(math.inf, x)

        if self.changes:
            return Scalar(("inverse", self.key), at)
        return scalar(at(0))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any) -> Any:
        if not all(map(_is_number, inputs)):
            return NotImplemented  # an array among them takes over
        return _combined(ufunc, *inputs)

    __bool__ = refuse("a decision on the step")
    __float__ = __int__ = __index__ = refuse("the step as a plain number")
    __lt__ = __le__ = __gt__ = __ge__ = refuse("a comparison of the step")
    __eq__ = __ne__ = refuse("a comparison of the step")
    __hash__ = None  # type: ignore[assignment]


def _combined(function: Callable[..., Any], *parts: Any) -> Scalar:
    scalars = [scalar(part) for part in parts]
    key = (function.__name__, *(s.key for s in scalars))
    first, *rest = (s.at for s in scalars)
    if not rest:
        return Scalar(key, lambda t: function(first(t)))
    (second,) = rest
    return Scalar(key, lambda t: function(first(t), second(t)))


def scalar(x: Any) -> Scalar:
    """Return a number as a `Scalar`; refuse what is none."""
    if isinstance(x, Scalar):
        return x
    if not _is_number(x):
        raise RefusedError(f"{type(x).__name__} where an argument or a number belongs")
    value = x[()] if isinstance(x, np.ndarray) else x
    return Scalar(("number", type(value).__name__, repr(value)), lambda t: value)


def _is_number(x: Any) -> bool:
    plain = isinstance(x, Scalar | numbers.Real | np.bool_)
    return plain or (isinstance(x, np.ndarray) and x.ndim == 0)


def _methods() -> None:
    """Give `Scalar` the operators of numbers."""
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
        function = getattr(operator, name)

        def forward(a: Any, b: Any, f: Any = function) -> Any:
            return _combined(f, a, b) if _is_number(b) else NotImplemented

        def backward(a: Any, b: Any, f: Any = function) -> Any:
            return _combined(f, b, a)

        setattr(Scalar, f"__{name}__", forward)
        setattr(Scalar, f"__r{name}__", backward)
    for name in ("neg", "pos", "abs"):
        function = getattr(operator, name)
        setattr(Scalar, f"__{name}__", lambda a, f=function: _combined(f, a))


_methods()
