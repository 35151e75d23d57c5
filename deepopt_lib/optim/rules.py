"""Update rules, each written once, as in its paper.

Notation: ``w`` parameter, ``g`` gradient, ``u`` direction, ``m`` and ``v`` first and
second moment, ``t`` step from 1. Every rule keeps shape and dtype. The state of a rule
has the shape and dtype of ``w``, so that one "array of state" costs as many bytes as
the parameter itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepopt_lib.core.types import Array
from deepopt_lib.optim.base import FRACTION, NOT_NEGATIVE, Checked, Ranges

__all__ = ["GradientDescent", "Lion", "Momentum", "WeightDecay"]


@dataclass(frozen=True)
class GradientDescent(Checked):
    """Steepest descent (Cauchy 1847): ``u = g``. No state."""

    def init(self, w: Array, /) -> None:
        return None

    def update(self, g: Array, s: None, w: Array, t: int, /) -> tuple[Array, None]:
        return g, s


@dataclass(frozen=True)
class Momentum(Checked):
    """Momentum in three variants; one array of state.

    - Heavy ball (Polyak 1964; PyTorch's SGD): ``v = mu*v + g``, ``u = v``.
    - Nesterov (``nesterov=True``; Sutskever et al. 2013, eqs. 3 and 4, seen from the
      look-ahead point, as in PyTorch): ``u = g + mu*v`` with the new ``v``.
    - EMA (``ema=True``): ``g`` enters with weight ``1 - mu``, so that ``v`` is an
      average of gradients. Its step is (1 - mu) times the heavy ball's at equal lr.

    Raises
    ------
    ValueError
        If ``mu`` is outside [0, 1).
    """

    ranges: ClassVar[Ranges] = {"mu": FRACTION}

    mu: float = 0.9
    nesterov: bool = False
    ema: bool = False

    def init(self, w: Array, /) -> Array:
        return np.zeros_like(w)

    def update(self, g: Array, v: Array, w: Array, t: int, /) -> tuple[Array, Array]:
        d = (1 - self.mu) * g if self.ema else g
        v = self.mu * v + d
        u = d + self.mu * v if self.nesterov else v
        return u, v


@dataclass(frozen=True)
class Lion(Checked):
    """Lion (Chen et al. 2023, Algorithm 2); one array of state.

    ``u = sign(b1*m + (1-b1)*g)``, then ``m = b2*m + (1-b2)*g``. Only signs leave the
    rule, so multiplying every gradient by one positive number changes nothing.
    """

    ranges: ClassVar[Ranges] = {"b1": FRACTION, "b2": FRACTION}

    b1: float = 0.9
    b2: float = 0.99

    def init(self, w: Array, /) -> Array:
        return np.zeros_like(w)

    def update(self, g: Array, m: Array, w: Array, t: int, /) -> tuple[Array, Array]:
        u = np.sign(self.b1 * m + (1 - self.b1) * g)
        return u, self.b2 * m + (1 - self.b2) * g


@dataclass(frozen=True)
class WeightDecay(Checked):
    """Weight decay ``u = g + lam*w`` (Loshchilov and Hutter 2019). No state.

    *After* an adaptive rule it is decoupled: ``chain(Adam(), WeightDecay(lam))`` is
    AdamW. *Before* it, the decay is part of the gradient: L2 regularization.
    """

    ranges: ClassVar[Ranges] = {"lam": NOT_NEGATIVE}

    lam: float

    def init(self, w: Array, /) -> None:
        return None

    def update(self, g: Array, s: None, w: Array, t: int, /) -> tuple[Array, None]:
        return g + self.lam * w, s
