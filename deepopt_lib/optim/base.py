"""What all rules share: checked hyper-parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from deepopt_lib.core.types import Rule

__all__ = ["Checked"]

# What each hyper-parameter may be: the interval [low, high).


RANGES = {
    "mu": (0.0, 1.0),
    "b1": (0.0, 1.0),
    "b2": (0.0, 1.0),
    "eps": (0.0, math.inf),
    "lam": (0.0, math.inf),
}


@dataclass(frozen=True)
class Checked:
    """Base of the rules: an elementwise rule with checked hyper-parameters.

    Raises
    ------
    ValueError
        ``"Adam.b1 must be in [0, 1), got 1.0"``, and likewise for NaN, for a value
        that is no number, and for a switch that is not a bool.
    """

    @property
    def elementwise(self) -> bool:
        """True when u[i] depends on g[i], w[i] and the state at i alone."""
        return True

    def __post_init__(self) -> None:
        """Check every hyper-parameter against its range."""
        for field in fields(self):
            value = getattr(self, field.name)
            name = f"{type(self).__name__}.{field.name}"
            if field.type in ("bool", bool) and not isinstance(value, bool):
                raise ValueError(f"{name} must be True or False, got {value!r}")
            if field.type in ("int", int) and (type(value) is not int or value < 1):
                raise ValueError(f"{name} must be an int >= 1, got {value!r}")
            if field.name in RANGES:
                low, high = RANGES[field.name]
                number = isinstance(value, int | float) and not isinstance(value, bool)
                if not (number and low <= value < high):
                    span = f"[{low:g}, {high:g})"
                    raise ValueError(f"{name} must be in {span}, got {value!r}")
                # A Python float keeps float32 arrays float32; a NumPy scalar does not.
                object.__setattr__(self, field.name, float(value))


def check_rule(name: str, rule: Any) -> None:
    """Raise a ValueError unless ``rule`` is an instance that fits the protocol."""
    if isinstance(rule, type) or not isinstance(rule, Rule):
        raise ValueError(f"{name} is not a rule, got {rule!r}")
