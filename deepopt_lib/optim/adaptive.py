"""Adaptive rules: each entry has a step size of its own, made of its past gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from deepopt_lib.core.types import Array
from deepopt_lib.optim.base import FRACTION, NOT_NEGATIVE, Checked, Ranges

__all__ = ["AMSGrad", "AdaGrad", "Adam", "RMSprop"]


@dataclass(frozen=True)
class AdaGrad(Checked):
    """AdaGrad, diagonal (Duchi, Hazan, Singer 2011, Fig. 1); one array of state.

    ``s = s + g*g``, ``u = g / (sqrt(s) + eps)``. As in PyTorch, ``eps`` stands outside
    the root; the paper adds its delta there too.
    """

    ranges: ClassVar[Ranges] = {"eps": NOT_NEGATIVE}

    eps: float = 1e-10

    def init(self, w: Array, /) -> Array:
        return np.zeros_like(w)

    def update(self, g: Array, s: Array, w: Array, t: int, /) -> tuple[Array, Array]:
        s = s + g * g
        return g / (np.sqrt(s) + self.eps), s


@dataclass(frozen=True)
class RMSprop(Checked):
    """RMSprop (Tieleman and Hinton 2012, lecture 6.5); one array of state.

    ``v = b2*v + (1-b2)*g*g``, ``u = g / (sqrt(v) + eps)``. Variant: not centered, no
    bias correction, ``eps`` outside the root (PyTorch's; its ``alpha`` is our ``b2``).
    """

    ranges: ClassVar[Ranges] = {"b2": FRACTION, "eps": NOT_NEGATIVE}

    b2: float = 0.99
    eps: float = 1e-8

    def init(self, w: Array, /) -> Array:
        return np.zeros_like(w)

    def update(self, g: Array, v: Array, w: Array, t: int, /) -> tuple[Array, Array]:
        v = self.b2 * v + (1 - self.b2) * g * g
        return g / (np.sqrt(v) + self.eps), v


class Moments(NamedTuple):
    """First moment ``m`` and second moment ``v`` of the gradient."""

    m: Array
    v: Array


@dataclass(frozen=True)
class Adam(Checked):
    """Adam (Kingma and Ba 2015, Algorithm 1); two arrays of state.

    ``m = b1*m + (1-b1)*g``, ``v = b2*v + (1-b2)*g*g``, each divided by ``1 - b**t`` to
    correct its start at zero, then ``u = m_hat / (sqrt(v_hat) + eps)``.

    Raises
    ------
    ValueError
        If ``b1`` or ``b2`` is outside [0, 1), or ``eps`` is negative.
    """

    ranges: ClassVar[Ranges] = {"b1": FRACTION, "b2": FRACTION, "eps": NOT_NEGATIVE}

    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8

    def init(self, w: Array, /) -> Moments:
        return Moments(np.zeros_like(w), np.zeros_like(w))

    def update(
        self, g: Array, s: Moments, w: Array, t: int, /
    ) -> tuple[Array, Moments]:
        m = self.b1 * s.m + (1 - self.b1) * g
        v = self.b2 * s.v + (1 - self.b2) * g * g
        m_hat = m / (1 - self.b1**t)
        v_hat = v / (1 - self.b2**t)
        return m_hat / (np.sqrt(v_hat) + self.eps), Moments(m, v)


class MaxMoments(NamedTuple):
    """Adam's moments and the largest second moment so far."""

    m: Array
    v: Array
    v_max: Array


@dataclass(frozen=True)
class AMSGrad(Checked):
    """AMSGrad (Reddi, Kale, Kumar 2018, Algorithm 2); three arrays of state.

    Adam with ``v_max = max(v_max, v)``, which never falls, in place of ``v``.
    Variant: PyTorch's, with Adam's bias corrections around the paper's maximum.
    """

    ranges: ClassVar[Ranges] = {"b1": FRACTION, "b2": FRACTION, "eps": NOT_NEGATIVE}

    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8

    def init(self, w: Array, /) -> MaxMoments:
        return MaxMoments(np.zeros_like(w), np.zeros_like(w), np.zeros_like(w))

    def update(
        self, g: Array, s: MaxMoments, w: Array, t: int, /
    ) -> tuple[Array, MaxMoments]:
        m = self.b1 * s.m + (1 - self.b1) * g
        v = self.b2 * s.v + (1 - self.b2) * g * g
        v_max = np.maximum(s.v_max, v)
        m_hat = m / (1 - self.b1**t)
        v_hat = v_max / (1 - self.b2**t)
        return m_hat / (np.sqrt(v_hat) + self.eps), MaxMoments(m, v, v_max)
