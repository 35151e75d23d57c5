"""What is tried for each hyper-parameter, and when a best value is no best value."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepopt_lib.core.checks import check_number

__all__ = ["Choices", "Rates", "Setting", "settings"]

Setting = dict[str, Any]
"""One value for each hyper-parameter."""


@dataclass(frozen=True)
class Rates:
    """Positive numbers in rising order, which can be continued on either side.

    A best value on the border says only that the best one is elsewhere, so the border
    is moved by the ratio of the two values next to it until it is not. ``low`` and
    ``high`` name ends that nature sets, such as 1 for a share: there the border may
    win, and nothing beyond is tried.

    Raises
    ------
    ValueError
        If there are fewer than two values, they do not rise, or they are not in
        [low, high], (0, infinity) unless given.
    """

    values: tuple[float, ...]
    low: float | None = None
    high: float | None = None

    def __init__(
        self, *values: float, low: float | None = None, high: float | None = None
    ) -> None:
        least = 0.0 if low is None else check_number("low", low, 0, math.inf, "[)")
        most = (
            math.inf if high is None else check_number("high", high, 0, math.inf, "()")
        )
        kept = tuple(
            check_number("a rate", v, least, most, "(]" if low is None else "[]")
            for v in values
        )
        rising = all(a < b for a, b in itertools.pairwise(kept))
        if len(kept) < 2 or not rising or not math.isfinite(kept[-1]):
            raise ValueError(f"rates must be at least two rising numbers, got {values}")
        object.__setattr__(self, "values", kept)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    def widened(self, best: float) -> Rates | None:
        """Return rates that reach beyond ``best``, or None if it is no open border."""
        first, last = self.values[0], self.values[-1]
        if best == first and first != self.low:
            value = first * first / self.values[1]
            return self._with((max(value, self.low or 0.0), *self.values))
        if best == last and last != self.high:
            value = last * last / self.values[-2]
            most = math.inf if self.high is None else self.high
            return self._with((*self.values, min(value, most)))
        return None

    def _with(self, values: tuple[float, ...]) -> Rates:
        return Rates(*values, low=self.low, high=self.high)


@dataclass(frozen=True)
class Choices:
    """Values without an order, so without a border: names, shapes, yes or no.

    Raises
    ------
    ValueError
        If there is none.
    """

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        if not values:
            raise ValueError("choices must not be empty")
        object.__setattr__(self, "values", values)

    def widened(self, best: Any) -> None:
        """Return None: there is nothing beyond."""


def settings(grid: Mapping[str, Rates | Choices]) -> list[Setting]:
    """Return every combination of the values of a grid."""
    combinations = itertools.product(*(axis.values for axis in grid.values()))
    return [dict(zip(grid, values, strict=True)) for values in combinations]
