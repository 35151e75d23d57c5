"""The types that every other module shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Code", "Codec", "Grads", "Params", "Rule", "Schedule", "State"]

Array = NDArray[np.floating[Any]]
"""A floating-point NumPy array of any shape."""

Params = dict[str, Array]
"""Parameters by name, such as ``"layer1.W"``: one flat dict, never nested."""

Grads = dict[str, Array]
"""Gradients under the names of the parameters that they belong to."""

State = Any
"""What a rule remembers for one parameter: None, an array, or a tuple of arrays."""

Code = tuple[NDArray[Any], ...]
"""What a codec stores instead of an array: a tuple of arrays and nothing else."""

Schedule = Callable[[int], float]
"""A learning rate as a function of the step, counted from 1."""


@runtime_checkable
class Rule(Protocol):
    """An update rule for *one* array, written as in the paper.

    A rule is pure: ``update`` writes to none of its arguments. It returns a
    direction ``u``; only `deepopt_lib.optim.Optimizer` applies ``w <- w - lr * u``.
    """

    @property
    def elementwise(self) -> bool:
        """True when u[i] depends on g[i], w[i] and the state at i alone."""
        ...

    def init(self, w: Array, /) -> State:
        """Return the state before the first step for the parameter ``w``."""
        ...

    def update(self, g: Array, s: State, w: Array, t: int, /) -> tuple[Array, State]:
        """Return the direction and the next state at step ``t`` = 1, 2, ..."""
        ...


@runtime_checkable
class Codec(Protocol):
    """A way to store an array in fewer bytes, and to read an approximation back.

    A code is a tuple of arrays, so that its size is the sum of their ``nbytes``:
    scales, tables and the shape are counted because they are there.
    """

    def encode(self, x: Array, /) -> Code:
        """Return the code of ``x``, any shape."""
        ...

    def decode(self, code: Any, /) -> Array:
        """Return the array that a code stands for."""
        ...
