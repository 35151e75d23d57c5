"""The privacy that is spent: Renyi DP of the sampled Gaussian mechanism.

A mechanism is (epsilon, delta)-private if adding or removing one sample changes the
probability of any outcome by at most a factor ``exp(epsilon)``, but for ``delta``
(Dwork and Roth 2014). Everything here errs on the safe side: the epsilon that is
returned is never below the true one.
"""

from __future__ import annotations

import math

import numpy as np

from deepopt_lib.core.checks import check_int, check_number

__all__ = ["ORDERS", "epsilon", "noise_for", "rdp"]

ORDERS = (*range(2, 65), 80, 96, 128, 192, 256, 512, 1024)
"""The orders alpha that are tried; each gives a valid epsilon, the least is best."""


def rdp(q: float, noise: float, alpha: int) -> float:
    """Return the Renyi divergence of order ``alpha`` that one step of DP-SGD spends.

    Mironov, Talwar, Zhang (2019), section 3.3, for Poisson sampling at rate ``q`` and
    whole orders:
    ``log(sum_k C(alpha, k) (1-q)**(alpha-k) q**k exp((k*k - k)/(2 noise**2)))
    / (alpha - 1)``, k from 0 to alpha. At ``q = 1`` that is ``alpha/(2 noise**2)``.
    Renyi divergences of the steps add up.

    Raises
    ------
    ValueError
        If q is outside (0, 1], ``noise`` is not > 0, or ``alpha`` is not an int >= 2.
    """
    q = check_number("q", q, 0, 1, "(]")
    noise = check_number("noise", noise, 0, math.inf, "()")
    alpha = check_int("alpha", alpha, 2)
    if q == 1:
        return alpha / (2 * noise**2)
    k = np.arange(alpha + 1.0)
    factorial = np.cumsum(np.log(np.maximum(k, 1)))  # log k!
    terms = factorial[-1] - factorial - factorial[::-1]  # log C(alpha, k)
    terms += (alpha - k) * math.log1p(-q) + k * math.log(q)
    terms += (k * k - k) / (2 * noise**2)
    largest = float(terms.max())
    total = largest + math.log(float(np.exp(terms - largest).sum()))
    return max(total, 0.0) / (alpha - 1)


def epsilon(q: float, noise: float, steps: int, delta: float) -> float:
    """Return an epsilon such that ``steps`` steps are (epsilon, delta)-private.

    ``min over alpha of steps*rdp(alpha) + log(1/delta)/(alpha - 1)`` (Mironov 2017,
    Propositions 1 and 3), over `ORDERS`: an upper bound of the true value.

    Raises
    ------
    ValueError
        If q is outside (0, 1], ``noise`` is not > 0, ``steps`` is not an int >= 1, or
        ``delta`` is outside (0, 1).
    """
    check_int("steps", steps)
    spent = (steps * rdp(q, noise, a) + _tail(delta, a) for a in ORDERS)
    return min(spent)


def noise_for(target: float, q: float, steps: int, delta: float) -> float:
    """Return the least noise, to six digits, at which `epsilon` is <= ``target``.

    Raises
    ------
    ValueError
        If ``target`` is not > 0 or below what `ORDERS` can show, or as in `epsilon`.
    """
    target = check_number("target", target, 0, math.inf, "()")
    least = _tail(delta, ORDERS[-1])
    if target <= least * (1 + 1e-6):
        raise ValueError(
            f"target must be > {least:.3g} for delta = {delta:g}: the accountant has "
            f"orders up to {ORDERS[-1]}, got {target!r}"
        )
    low, high = 0.0, 1.0
    while epsilon(q, high, steps, delta) > target:
        low, high = high, 2 * high
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        if epsilon(q, middle, steps, delta) > target:
            low = middle
        else:
            high = middle
    return high


def _tail(delta: float, alpha: int) -> float:
    delta = check_number("delta", delta, 0, 1, "()")
    return math.log(1 / delta) / (alpha - 1)
