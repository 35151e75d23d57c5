"""A rule in two languages: Python's own ``update``, and its printed twin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from deepopt_lib.core.tree import flatten, unflatten
from deepopt_lib.core.types import Rule

__all__ = ["Step", "Update"]

Step = Callable[..., tuple[float, list[float]]]
"""What a model calls: gradient, state, parameter and step, then what is free."""


@dataclass(frozen=True)
class Update:
    """The update of one entry: called ``(g, s, w, t, *free)``, it gives ``u, s``.

    ``code`` is what ``optim.javascript(rule, *free)`` returns; the browser runs it, and
    Python runs the rule. The state is a list of numbers.
    """

    rule: Rule
    code: str
    free: tuple[str, ...] = ()

    def __call__(
        self, g: float, s: list[float], w: float, t: int, *free: float
    ) -> tuple[float, list[float]]:
        """Return the direction and the new state of one entry."""
        rule: Any = replace(
            self.rule,  # type: ignore[type-var]
            **dict(zip(self.free, free, strict=True)),
        )
        state = unflatten(rule.init(np.zeros(1)), [np.array([a]) for a in s])
        u, new = rule.update(np.array([g]), state, np.array([w]), t)
        return float(u[0]), [float(a[0]) for a in flatten(new)]
