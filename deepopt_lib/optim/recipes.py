"""Recipes: the optimizers by their usual names, one line each."""

from __future__ import annotations

from deepopt_lib.core.types import Schedule
from deepopt_lib.optim.adaptive import AdaGrad, Adam, RMSprop
from deepopt_lib.optim.compose import MatrixOr, chain
from deepopt_lib.optim.optimizer import Optimizer
from deepopt_lib.optim.orthogonalize import Orthogonalize
from deepopt_lib.optim.rules import GradientDescent, Lion, Momentum, WeightDecay

__all__ = ["adagrad", "adam", "adamw", "lion", "momentum", "muon", "rmsprop", "sgd"]


def sgd(lr: float | Schedule) -> Optimizer:
    """Return (stochastic) gradient descent: ``w <- w - lr*g``."""
    return Optimizer(GradientDescent(), lr)


def momentum(lr: float | Schedule, mu: float = 0.9) -> Optimizer:
    """Return heavy-ball momentum (Polyak 1964)."""
    return Optimizer(Momentum(mu), lr)


def adagrad(lr: float | Schedule) -> Optimizer:
    """Return AdaGrad (Duchi et al. 2011)."""
    return Optimizer(AdaGrad(), lr)


def rmsprop(lr: float | Schedule) -> Optimizer:
    """Return RMSprop (Tieleman and Hinton 2012)."""
    return Optimizer(RMSprop(), lr)


def adam(lr: float | Schedule) -> Optimizer:
    """Return Adam (Kingma and Ba 2015)."""
    return Optimizer(Adam(), lr)


def adamw(lr: float | Schedule, lam: float = 0.01) -> Optimizer:
    """Return AdamW (Loshchilov and Hutter 2019): the decay follows Adam."""
    return Optimizer(chain(Adam(), WeightDecay(lam)), lr)


def lion(lr: float | Schedule, lam: float = 0.0) -> Optimizer:
    """Return Lion (Chen et al. 2023) with decoupled weight decay."""
    return Optimizer(chain(Lion(), WeightDecay(lam)), lr)


def muon(lr: float | Schedule) -> Optimizer:
    """Return Muon (Jordan et al. 2024) for matrices, Adam for all else, at one lr."""
    matrix = chain(Momentum(0.95, nesterov=True, ema=True), Orthogonalize())
    return Optimizer(MatrixOr(matrix, Adam()), lr)
