"""The tape: recorded arrays, and functions that know their own derivative."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

__all__ = ["PRIMITIVES", "Result", "Shared", "Tape", "Var", "Vjp", "primitive"]

# A training step frees all its activations. The C library of Linux gives free memory
# back to the system when there is more than twice the largest block freed so far, and
# to get it again costs a page fault every 4 kB, half of the time of a convolutional
# network. This block is never touched, only freed: it raises the limit to 64 MB.
np.empty(2**25 - 2**16, np.uint8)

Vjp = Callable[[Any], Any]  # from the output's cotangent to one argument's
Result = tuple[Any, tuple[Vjp | None, ...]]  # what a primitive's rule returns
Tape = list["Var"]  # of one call; it is cleared at the end, so an empty one is closed

ONE_CALL = "take .value of the other call's (no second derivatives here, but see hvp)"

PRIMITIVES: dict[str, Callable[..., Any]] = {}
"""Every primitive by name; the tests check the gradient of each."""


class Var:
    """An array that is being recorded: its value, and how to pull a cotangent back.

    It lives in one call of `value_and_grad`; what is decided or computed apart from the
    derivative takes its ``value``.

    Raises
    ------
    TypeError
        If it is compared, asked for its truth, or given to a function of NumPy: all
        three would lose the derivative without a word.
    """

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

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self.value)))

    def __array__(self, *args: Any, **options: Any) -> NoReturn:
        raise TypeError("a Var is no array for NumPy: use a primitive, or its .value")

    def __bool__(self) -> NoReturn:
        raise TypeError("a Var is neither true nor false: take its .value")

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("a Var cannot be compared: take its .value")

    __lt__ = __le__ = __gt__ = __ge__ = __eq__
    __hash__ = object.__hash__  # by identity

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

    Raises
    ------
    ValueError
        When the function is called: if the rule does not return a vjp for each
        argument, if a recorded one has none, or if recorded ones come from two calls of
        `value_and_grad` or from one that is over.
    """

    @functools.wraps(rule)
    def op(*args: Any, **static: Any) -> Any:
        values = [a.value if isinstance(a, Var) else a for a in args]
        out, vjps = rule(*values, **static)
        pairs = zip(args, vjps, strict=True)
        parents = [pair for pair in pairs if isinstance(pair[0], Var)]
        if not parents:
            return out
        tape = parents[0][0].tape
        for a, vjp in parents:
            if a.tape is not tape or vjp is None:
                _refuse(rule.__name__, args, vjps)
        if not tape:
            _refuse(rule.__name__, args, vjps)
        return Var(out, tape, parents)

    PRIMITIVES[rule.__name__] = op
    return op


def _refuse(name: str, args: Sequence[Any], vjps: Sequence[Vjp | None]) -> NoReturn:
    """Say what is wrong with the recorded arguments of a primitive."""
    for i, (a, vjp) in enumerate(zip(args, vjps, strict=True)):
        if isinstance(a, Var) and vjp is None:
            raise ValueError(f"{name} has no derivative with respect to argument {i}")
        if isinstance(a, Var) and not a.tape:
            raise ValueError(
                f"{name}: argument {i} is a Var of a value_and_grad call that is over: "
                "take its .value"
            )
    raise ValueError(f"{name} mixes Vars of two value_and_grad calls: {ONE_CALL}")


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
