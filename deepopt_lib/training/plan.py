"""Which samples a run sees, and when."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core.checks import check_int

__all__ = ["Indices", "Plan", "batches"]

Indices = NDArray[np.int64]
"""The samples of a batch, shape (batch_size,)."""


def batches(n: int, batch_size: int, rng: np.random.Generator) -> Iterator[Indices]:
    """Yield the indices 0 .. n-1 once each, in random order, ``batch_size`` at a time.

    The last batch is smaller when ``batch_size`` does not divide ``n``.

    Raises
    ------
    ValueError
        If ``batch_size`` is not between 1 and ``n``.
    """
    size = check_int("batch_size", batch_size, 1, n)
    order = rng.permutation(n)
    return (order[i : i + size] for i in range(0, n, size))


@dataclass(frozen=True)
class Plan:
    """So many passes over so many samples, ``batch_size`` of them a step.

    Raises
    ------
    ValueError
        If ``epochs`` is not an int >= 0, or ``batch_size`` not one in [1, samples].
    """

    samples: int
    batch_size: int
    epochs: int

    def __post_init__(self) -> None:
        """Check the numbers."""
        epochs = check_int("epochs", self.epochs, 0)
        size = check_int("batch_size", self.batch_size, 1, self.samples)
        object.__setattr__(self, "epochs", epochs)
        object.__setattr__(self, "batch_size", size)

    @classmethod
    def of(cls, x: Any, y: Any, batch_size: int, epochs: int) -> Plan:
        """Return the plan for samples ``x`` with labels ``y``.

        Raises
        ------
        ValueError
            As `Plan`, or if x and y differ in length.
        """
        if len(x) != len(y):
            raise ValueError(f"x and y differ in length: {len(x)} and {len(y)}")
        return cls(len(x), batch_size, epochs)

    @property
    def length(self) -> int:
        """Steps of an epoch."""
        return math.ceil(self.samples / self.batch_size)

    @property
    def steps(self) -> int:
        """Steps of the run."""
        return self.epochs * self.length

    def batches(self, rng: np.random.Generator) -> Iterator[Indices]:
        """Draw an epoch, as `batches` does."""
        return batches(self.samples, self.batch_size, rng)
