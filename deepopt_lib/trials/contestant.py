"""Who takes part in a comparison, and what all of them are scored on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from deepopt_lib.core.types import Array
from deepopt_lib.trials.grid import Choices, Rates
from deepopt_lib.trials.run import Trained

__all__ = ["Contestant", "Items", "right"]


class Items(Protocol):
    """What the contestants are scored on, such as `data.Split`."""

    @property
    def x_val(self) -> Array:
        """Inputs to choose by."""

    @property
    def y_val(self) -> Array:
        """Their labels."""

    @property
    def x_test(self) -> Array:
        """Inputs to report."""

    @property
    def y_test(self) -> Array:
        """Their labels."""


def right(predicted: Array, y: Array) -> Array:
    """Return which predictions are right: the score of a classifier, item by item."""
    return np.asarray(predicted == y)


@dataclass(frozen=True)
class Contestant:
    """A method with what is tuned.

    ``run(seed, **setting)`` trains with the data that it knows and returns `Trained`;
    it must depend on nothing but its arguments and constants. ``grid`` names the
    arguments to tune, each with `Rates` or `Choices`; None if there is nothing to tune.

    Raises
    ------
    ValueError
        If the grid is empty, or an entry of it is neither `Rates` nor `Choices`.
    """

    run: Callable[..., Trained]
    grid: Mapping[str, Rates | Choices] | None = None

    def __post_init__(self) -> None:
        if self.grid is not None and not self.grid:
            raise ValueError("grid must not be empty; None says: nothing to tune")
        for name, axis in (self.grid or {}).items():
            if not isinstance(axis, Rates | Choices):
                raise ValueError(
                    f"grid[{name!r}] must be Rates or Choices, got {axis!r}"
                )
