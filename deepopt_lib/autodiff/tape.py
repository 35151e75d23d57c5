"""The tape: recorded arrays, and functions that know their own derivative."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["PRIMITIVES", "Result", "Shared", "Tape", "Var", "Vjp", "primitive"]

# A training step frees all its activations. The C library of Linux gives free memory
# back to the system when there is more than twice the largest block freed so far, and
# to get it again costs a page fault every 4 kB, half of the time of a convolutional
# network. This block is never touched, only freed: it raises the limit to 64 MB.
np.empty(2**25 - 2**16, np.uint8)

Vjp = Callable[[Any], Any]  # from the output's cotangent to one argument's
Result = tuple[Any, tuple[Vjp | None, ...]]  # what a primitive's rule returns
Tape = list["Var"]

PRIMITIVES: dict[str, Callable[..., Any]] = {}
"""Every primitive by name; the tests check the gradient of each."""


class Var:
    """An array that is being recorded: its value, and how to pull a cotangent back."""

    __slots__ = ("grad", "parents", "tape", "value")
    __array_ufunc__ = None  # so that ndarray + Var asks Var, not NumPy

    def __init__(
        self, value: Any, tape: Tape, parents: Sequence[tuple[Var, Any]] = ()
    ) -> None:
        """Record ``value`` on ``tape``; ``parents`` are (argument, vjp) pairs."""
        self.value = value
        self.parents = parents
        self.grad: Any = None
        self.tape = tape
        tape.append(self)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return np.shape(self.value)

    @property
    def T(self) -> Any:  # noqa: N802 - NumPy's name
        """The transpose."""
        return PRIMITIVES["transpose"](self)

    def __repr__(self) -> str:
        """Show the value."""
        return f"Var({self.value!r})"

    def __add__(self, other: Any) -> Any:
        return PRIMITIVES["add"](self, other)

    def __radd__(self, other: Any) -> Any:
        return PRIMITIVES["add"](other, self)

    def __sub__(self, other: Any) -> Any:
        return PRIMITIVES["sub"](self, other)

    def __rsub__(self, other: Any) -> Any:
        return PRIMITIVES["sub"](other, self)

    def __mul__(self, other: Any) -> Any:
        return PRIMITIVES["mul"](self, other)

    def __rmul__(self, other: Any) -> Any:
        return PRIMITIVES["mul"](other, self)

    def __truediv__(self, other: Any) -> Any:
        return PRIMITIVES["div"](self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return PRIMITIVES["div"](other, self)

    def __neg__(self) -> Any:
        return PRIMITIVES["neg"](self)

    def __pow__(self, exponent: float) -> Any:
        return PRIMITIVES["power"](self, exponent)

    def __matmul__(self, other: Any) -> Any:
        return PRIMITIVES["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return PRIMITIVES["matmul"](other, self)

    def __getitem__(self, index: Any) -> Any:
        return PRIMITIVES["take"](self, index)


def primitive(
    rule: Callable[..., tuple[Any, tuple[Vjp | None, ...]]],
) -> Callable[..., Any]:
    """Make a differentiable function of ``rule``.

    ``rule(*values, **static)`` works on plain arrays and returns the output and one vjp
    per positional argument (None where no derivative exists). The vjp of an argument
    that is not recorded is never called, so the input data's gradient costs nothing.
    A vjp returns ``d`` itself, a view, or a new array, never one that it keeps.
    Without a recorded argument the function is plain NumPy.
    """

    @functools.wraps(rule)
    def op(*args: Any, **static: Any) -> Any:
        values = [a.value if isinstance(a, Var) else a for a in args]
        out, vjps = rule(*values, **static)
        pairs = zip(args, vjps, strict=True)
        parents = [(a, vjp) for a, vjp in pairs if isinstance(a, Var)]
        if not parents:
            return out
        for i, vjp in enumerate(vjps):
            if vjp is None and isinstance(args[i], Var):
                what = f"{rule.__name__} has no derivative with respect to"
                raise ValueError(f"{what} argument {i}")
        return Var(out, parents[0][0].tape, parents)

    PRIMITIVES[rule.__name__] = op
    return op


class Shared:
    """Work that several vjps of one primitive need, done once for each cotangent.

    The tape hands the same ``d`` to the vjps of a primitive, one after the other: the
    first that calls does the work, the next find its result.
    """

    __slots__ = ("_d", "_result", "_work")

    def __init__(self, work: Vjp) -> None:
        """Remember nothing yet of ``work(d)``; made to be used as a decorator."""
        self._work = work
        self._d: Any = None
        self._result: Any = None

    def __call__(self, d: Any) -> Any:
        """Return ``work(d)``."""
        if not self.knows(d):
            self._d, self._result = d, self._work(d)
        return self._result

    def knows(self, d: Any) -> bool:
        """Say whether the work for ``d`` is done already."""
        return self._d is d
