"""What a private run spends, by the account of Abadi et al. (2016) and by a tight one.

A run is one look at all images for the projection, with Gaussian noise of its own, and
then steps of DP-SGD. Renyi divergences of both add up, whatever the account.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

from deepopt_lib import privacy

__all__ = ["DELTA", "RATE", "Account", "moments", "renyi", "within"]

RATE = 0.01  # a lot of 600 of 60,000 images
DELTA = 1e-5
MOMENTS = 32  # "it suffices to compute it for lambda <= 32" (section 3.2)

Account = Callable[[float, float, int], float]
"""Of the noise of a step, that of the projection (infinite: none), and the steps."""


@cache
def _step(noise: float, alpha: float) -> float:
    return privacy.rdp(RATE, noise, alpha)


def spent(alpha: float, noise: float, projection: float, steps: int) -> float:
    """Return the Renyi divergence of order ``alpha`` of a whole run."""
    return alpha / (2 * projection**2) + steps * _step(noise, alpha)


def moments(noise: float, projection: float, steps: int) -> float:
    """Return epsilon by the moments accountant: Abadi et al. (2016), theorem 2.

    ``min over lambda of (moment(lambda) + log(1/delta))/lambda``: the moment of a whole
    lambda is lambda times the divergence of order lambda + 1.
    """
    return min(
        spent(k + 1, noise, projection, steps) - math.log(DELTA) / k
        for k in range(1, MOMENTS + 1)
    )


def renyi(noise: float, projection: float, steps: int) -> float:
    """Return epsilon as `privacy.epsilon` does: all orders, a better conversion."""
    return min(
        privacy.to_epsilon(a, spent(a, noise, projection, steps), DELTA)
        for a in privacy.ORDERS
    )


def within(account: Account, target: float, noise: float, projection: float) -> int:
    """Return how many steps an account allows; 0 if the projection is too much.

    Raises
    ------
    ValueError
        If ``target`` is not positive.
    """
    if not target > 0:
        raise ValueError(f"target must be > 0, got {target!r}")
    low, high = 0, 1
    while account(noise, projection, high) <= target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if account(noise, projection, middle) <= target:
            low = middle
        else:
            high = middle
    return low
