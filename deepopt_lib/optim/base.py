"""What all rules share: hyper-parameters that are checked when a rule is made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from deepopt_lib.core.checks import check_bool, check_int, check_number
from deepopt_lib.core.types import Rule

__all__ = ["FRACTION", "NOT_NEGATIVE", "Checked", "Ranges"]

Ranges = Mapping[str, tuple[float, float]]
"""The interval [low, high) of each hyper-parameter that has one."""

FRACTION = (0.0, 1.0)
"""The interval [0, 1): of decay rates."""

NOT_NEGATIVE = (0.0, math.inf)
"""The interval [0, inf)."""


@dataclass(frozen=True)
class Checked:
    """Base of the rules: an elementwise rule with checked hyper-parameters.

    A rule declares the interval [low, high) of each of its floats in ``ranges``; one
    that is not there may be any finite number. An int has to be 1 or more, a switch a
    bool. Numbers of NumPy become Python's, beside which float32 arrays stay float32.

    Raises
    ------
    ValueError
        ``"Adam.b1 must be in [0, 1), got 1.0"``, and likewise for NaN, for a value
        that is no number, and for a switch that is not a bool.
    """

    ranges: ClassVar[Ranges] = {}

    @property
    def elementwise(self) -> bool:
        """True when u[i] depends on g[i], w[i] and the state at i alone."""
        return True

    def __post_init__(self) -> None:
        """Check every hyper-parameter."""
        for field in fields(self):
            value = getattr(self, field.name)
            name = f"{type(self).__name__}.{field.name}"
            if field.type in ("bool", bool):
                value = check_bool(name, value)
            elif field.type in ("int", int):
                value = check_int(name, value)
            elif field.type in ("float", float):
                value = check_number(name, value, *self.ranges.get(field.name, ()))
            object.__setattr__(self, field.name, value)


def check_rule(name: str, rule: Any) -> None:
    """Raise a ValueError unless ``rule`` is an instance that fits the protocol."""
    if isinstance(rule, type) or not isinstance(rule, Rule):
        raise ValueError(f"{name} is not a rule, got {rule!r}")
