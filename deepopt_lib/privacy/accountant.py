"""The privacy that is spent: Renyi DP of the sampled Gaussian mechanism.

Two data sets are neighbors if one of them has one sample more: a sample is *added or
removed*, not replaced. A mechanism is (epsilon, delta)-private if between neighbors, in
both directions, the probability of any outcome changes by at most a factor
``exp(epsilon)``, but for ``delta`` (Dwork and Roth 2014). Everything here errs on the
safe side: the epsilon that is returned is never below the true one.
"""

from __future__ import annotations

import math

import numpy as np

from deepopt_lib.core.checks import check_int, check_number

__all__ = ["ORDERS", "best_order", "epsilon", "noise_for", "rdp", "to_epsilon"]

ORDERS = (
    *(1 + tenths / 10 for tenths in range(1, 100)),
    *(float(whole) for whole in range(11, 65)),
    *(80.0, 96.0, 128.0, 192.0, 256.0, 512.0, 1024.0),
)
"""The orders alpha that are tried; each gives a valid epsilon, the least is best."""

TAIL = 1000  # terms of the series beyond the order, where they alternate; even


def rdp(q: float, noise: float, alpha: float) -> float:
    """Return the Renyi divergence of order ``alpha`` that one step of DP-SGD spends.

    Mironov, Talwar, Zhang (2019), section 3.3, for Poisson sampling at rate ``q`` and
    ``z = noise**2 * log(1/q - 1) + 1/2``, where the two densities of an outcome that
    the sample may have changed are equal: the logarithm, over ``alpha - 1``, of
    ``sum_k C(alpha, k) (1-q)**(alpha-k) q**k exp((k*k - k)/(2 noise**2))
    * erfc((k - z)/(sqrt(2) noise))/2`` plus ``sum_k C(alpha, k) (1-q)**k q**j
    exp((j*j - j)/(2 noise**2)) * erfc((z - j)/(sqrt(2) noise))/2``, j = alpha - k.
    If ``alpha`` is whole, both end at k = alpha, and together no erfc is left. At
    ``q = 1`` it is ``alpha/(2 noise**2)``. Renyi divergences of the steps add up.

    This is the divergence if the sample is removed, the larger one (ibid., theorem 5).

    Raises
    ------
    ValueError
        If q is outside (0, 1], ``noise`` is not > 0, or ``alpha`` is not a number > 1.
    """
    q = check_number("q", q, 0, 1, "(]")
    noise = check_number("noise", noise, 0, math.inf, "()")
    alpha = check_number("alpha", alpha, 1, math.inf, "()")
    if q == 1:
        return alpha / (2 * noise**2)
    from scipy.special import gammaln, gammasgn, log_ndtr  # erfc(sqrt(2) x)/2 = ndtr

    # Beyond alpha the terms alternate and fall; the last one kept is positive, so that
    # what is left out is negative.
    n = int(alpha) + 1 + (0 if alpha.is_integer() else 1 + TAIL)
    k = np.arange(float(n))
    j = alpha - k
    z = noise**2 * (math.log1p(-q) - math.log(q)) + 0.5
    below = j * math.log1p(-q) + k * math.log(q) + (k * k - k) / (2 * noise**2)
    below += log_ndtr((z - k) / noise)
    above = k * math.log1p(-q) + j * math.log(q) + (j * j - j) / (2 * noise**2)
    above += log_ndtr((j - z) / noise)
    terms = gammaln(alpha + 1) - gammaln(k + 1) - gammaln(j + 1)  # log |C(alpha, k)|
    terms += np.logaddexp(below, above)
    largest = float(terms.max())
    total = float((gammasgn(j + 1) * np.exp(terms - largest)).sum())
    return max(largest + math.log(total), 0.0) / (alpha - 1)


def to_epsilon(alpha: float, spent: float, delta: float) -> float:
    """Return the epsilon at ``delta`` of a Renyi divergence ``spent`` of one order.

    ``spent + log((alpha-1)/alpha) - (log(delta) + log(alpha))/(alpha-1)``, and 0 where
    that is negative (Balle and others 2020, theorem 21).

    Raises
    ------
    ValueError
        If ``alpha`` is not > 1, ``spent`` is negative, or ``delta`` is outside (0, 1).
    """
    alpha = check_number("alpha", alpha, 1, math.inf, "()")
    spent = check_number("spent", spent, 0)
    delta = check_number("delta", delta, 0, 1, "()")
    tail = math.log1p(-1 / alpha) - math.log(delta * alpha) / (alpha - 1)
    return max(spent + tail, 0.0)


def best_order(q: float, noise: float, steps: int, delta: float) -> float:
    """Return which of `ORDERS` gives the least epsilon for ``steps`` steps.

    Times ``(alpha-1)**2``, the slope of `to_epsilon` by alpha only grows, since
    ``(alpha-1)*rdp(alpha)`` is convex: so epsilon falls, then rises, and can be halved.

    Raises
    ------
    ValueError
        As in `epsilon`.
    """
    check_int("steps", steps)
    delta = check_number("delta", delta, 0, 1, "()")

    def spent(i: int) -> float:
        return to_epsilon(ORDERS[i], steps * rdp(q, noise, ORDERS[i]), delta)

    low, high = 0, len(ORDERS) - 1
    while low < high:
        middle = (low + high) // 2
        if spent(middle) <= spent(middle + 1):
            high = middle
        else:
            low = middle + 1
    return ORDERS[low]


def epsilon(q: float, noise: float, steps: int, delta: float) -> float:
    """Return an epsilon such that ``steps`` steps are (epsilon, delta)-private.

    The least that `to_epsilon` makes of ``steps * rdp(q, noise, alpha)`` over `ORDERS`
    (Mironov 2017, proposition 1: divergences add up). It is an upper bound, for data
    sets that differ by one sample added or removed; `tight_epsilon` is closer, and
    takes longer.

    Raises
    ------
    ValueError
        If q is outside (0, 1], ``noise`` is not > 0, ``steps`` is not an int >= 1, or
        ``delta`` is outside (0, 1).
    """
    alpha = best_order(q, noise, steps, delta)
    return to_epsilon(alpha, steps * rdp(q, noise, alpha), delta)


def noise_for(target: float, q: float, steps: int, delta: float) -> float:
    """Return the least noise, to six digits, at which `epsilon` is <= ``target``.

    Raises
    ------
    ValueError
        If ``target`` is not > 0 or below what `ORDERS` can show, or as in `epsilon`.
    """
    target = check_number("target", target, 0, math.inf, "()")
    least = min(to_epsilon(alpha, 0.0, delta) for alpha in ORDERS)
    if target <= least * (1 + 1e-6):
        raise ValueError(
            f"target must be > {least:.3g} for delta = {delta:g}: the accountant has "
            f"orders up to {ORDERS[-1]:g}, got {target!r}"
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
