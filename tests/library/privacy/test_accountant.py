"""The accountant of Renyi divergences against integrals, and truth from both sides."""

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm

from deepopt_lib.privacy import (
    ORDERS,
    best_order,
    epsilon,
    noise_for,
    rdp,
    to_epsilon,
)


def divergence(q: float, noise: float, alpha: float) -> float:
    """Renyi divergence of the mixture from the plain Gaussian, by integration."""

    def integrand(z: float) -> float:
        ratio = 1 - q + q * math.exp((2 * z - 1) / (2 * noise**2))
        return float(norm.pdf(z, scale=noise)) * math.pow(ratio, alpha)

    total = quad(integrand, -40 * noise, alpha + 40 * noise, limit=500, epsabs=0)[0]
    return math.log(total) / (alpha - 1)


@pytest.mark.parametrize("q", [0.01, 0.2, 0.9, 1.0])
@pytest.mark.parametrize("noise", [0.8, 1.5, 4.0])
@pytest.mark.parametrize("alpha", [1.1, 1.7, 2, 2.5, 3, 6.9, 7])
def test_the_divergence_is_the_integral(q: float, noise: float, alpha: float) -> None:
    assert rdp(q, noise, alpha) == pytest.approx(divergence(q, noise, alpha), rel=1e-6)


@pytest.mark.parametrize("q", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("alpha", [1.05, 1.5, 2.2])
def test_a_series_that_ends_early_is_not_below_the_integral(
    q: float, alpha: float
) -> None:
    """Here its terms fall slowest, like a power of their number."""
    found, truth = rdp(q, 0.6, alpha), divergence(q, 0.6, alpha)
    assert -1e-12 < found - truth < 1e-6


@pytest.mark.parametrize("q", [0.01, 0.5])
@pytest.mark.parametrize("alpha", [2, 9, 64, 1024])
def test_a_whole_order_is_the_limit_of_fractional_ones(q: float, alpha: int) -> None:
    whole = rdp(q, 3.0, alpha)
    assert rdp(q, 3.0, alpha + 1e-7) == pytest.approx(whole, rel=1e-5)
    assert rdp(q, 3.0, alpha - 1e-7) == pytest.approx(whole, rel=1e-5)
    terms = [
        math.lgamma(alpha + 1)
        - math.lgamma(k + 1)
        - math.lgamma(alpha - k + 1)
        + (alpha - k) * math.log1p(-q)
        + k * math.log(q)
        + (k * k - k) / 18
        for k in range(alpha + 1)
    ]
    top = max(terms)  # eq. 13 of Mironov, Talwar, Zhang
    total = top + math.log(math.fsum(math.exp(term - top) for term in terms))
    assert whole == pytest.approx(total / (alpha - 1), rel=1e-8)


@pytest.mark.parametrize("alpha", [1.5, 2, 5, 64, 1024])
def test_the_divergence_without_sampling(alpha: float) -> None:
    assert rdp(1, 1.7, alpha) == pytest.approx(alpha / (2 * 1.7**2))
    assert rdp(1 - 1e-12, 1.7, alpha) == pytest.approx(rdp(1, 1.7, alpha), rel=1e-6)


def test_an_epsilon_of_a_divergence_by_hand() -> None:
    """At alpha = 2, spent = 3, delta = 1/8: 3 + log(1/2) - log(1/4)."""
    assert to_epsilon(2, 3, 1 / 8) == pytest.approx(3 + math.log(2))
    assert to_epsilon(5, 0.25, 1e-3) == pytest.approx(
        0.25 + math.log(0.8) - (math.log(1e-3) + math.log(5)) / 4
    )
    assert to_epsilon(3, 0.01, 0.5) == 0


def test_an_epsilon_of_a_divergence_is_never_below_the_exact_value() -> None:
    for noise in (0.5, 1.0, 3.0):
        for alpha in (1.5, 4.0, 20.0):
            for delta in (1e-6, 1e-2, 0.3):
                found = to_epsilon(alpha, alpha / (2 * noise**2), delta)
                assert found >= exact(noise, delta) - 1e-9


def exact(noise: float, delta: float) -> float:
    """Epsilon of the Gaussian mechanism of sensitivity 1 (Balle and Wang 2018)."""

    def excess(e: float) -> float:
        far = norm.logcdf(-1 / (2 * noise) - e * noise)
        return float(
            norm.cdf(1 / (2 * noise) - e * noise) - math.exp(e + float(far)) - delta
        )

    return float(brentq(excess, 0, 500)) if excess(0) > 0 else 0.0


@pytest.mark.parametrize("delta", [1e-3, 1e-5, 1e-8])
@pytest.mark.parametrize("noise", [0.7, 2.0, 10.0, 40.0])
@pytest.mark.parametrize("steps", [1, 100])
def test_never_below_the_exact_value(delta: float, noise: float, steps: int) -> None:
    """Steps without sampling are one step with the noise over the root of their number.

    And not far above it either: a bound of infinity would be sound, too.
    """
    truth = exact(noise / math.sqrt(steps), delta)
    assert truth <= epsilon(1, noise, steps, delta) < 1.2 * truth + 0.01


@pytest.mark.parametrize("q", [0.01, 0.1])
def test_never_below_what_one_step_with_sampling_spends(q: float) -> None:
    """For one step the exact value is known: delta is an integral in one dimension."""
    noise, delta = 1.0, 1e-5
    claimed = epsilon(q, noise, 1, delta)

    def lost(e: float, sign: int) -> float:
        def f(z: float) -> float:
            p = norm.pdf(z, scale=noise)
            mixed = (1 - q) * p + q * norm.pdf(z, loc=1, scale=noise)
            a, b = (mixed, p) if sign > 0 else (p, mixed)
            return max(a - math.exp(e) * b, 0)

        return float(quad(f, -15, 15, limit=1000, points=[0, 1, 3, 5])[0])

    assert max(lost(claimed, 1), lost(claimed, -1)) <= delta
    assert lost(claimed / 8, 1) > delta


def test_more_noise_less_sampling_fewer_steps_spend_less() -> None:
    by_noise = [epsilon(0.05, s, 300, 1e-5) for s in (0.6, 0.8, 1.0, 2.0, 5.0)]
    by_rate = [epsilon(q, 1.0, 300, 1e-5) for q in (0.001, 0.01, 0.1, 0.5, 1)]
    by_steps = [epsilon(0.05, 1.0, t, 1e-5) for t in (1, 10, 100, 1000)]
    by_delta = [epsilon(0.05, 1.0, 300, d) for d in (1e-2, 1e-4, 1e-6, 1e-9)]
    assert by_noise == sorted(by_noise, reverse=True)
    assert by_rate == sorted(by_rate)
    assert by_steps == sorted(by_steps)
    assert by_delta == sorted(by_delta)
    for found in (by_noise, by_rate, by_steps, by_delta):
        assert len(set(found)) == len(found)


@pytest.mark.parametrize("q", [0.001, 0.02, 0.4, 1.0])
@pytest.mark.parametrize("noise", [0.6, 1.1, 5.0])
@pytest.mark.parametrize("steps", [1, 500])
def test_steps_add_up_and_the_best_order_is_found(
    q: float, noise: float, steps: int
) -> None:
    spent = [to_epsilon(a, steps * rdp(q, noise, a), 1e-5) for a in ORDERS]
    assert epsilon(q, noise, steps, 1e-5) == min(spent)
    assert best_order(q, noise, steps, 1e-5) == ORDERS[spent.index(min(spent))]


def test_the_orders_rise_and_begin_above_1() -> None:
    assert list(ORDERS) == sorted(set(ORDERS))
    assert (ORDERS[0], ORDERS[-1]) == (1.1, 1024)


@pytest.mark.parametrize("alpha", ORDERS)
def test_every_order_is_the_best_for_some_noise(alpha: float) -> None:
    """Without sampling: alpha/(2 s**2) and the rest have opposite slopes there."""
    delta = 1e-5
    noise = (alpha - 1) / math.sqrt(2 * math.log(1 / (delta * alpha)))
    assert best_order(1, noise, 1, delta) == alpha


@pytest.mark.parametrize("target", [0.01, 0.1, 1.0, 8.0, 100.0])
def test_the_noise_is_enough_and_hardly_more(target: float) -> None:
    noise = noise_for(target, 0.06, 200, 1e-5)
    assert epsilon(0.06, noise, 200, 1e-5) <= target
    assert epsilon(0.06, noise * (1 - 1e-5), 200, 1e-5) > target


def test_a_large_delta_needs_no_order_beyond_ours() -> None:
    """Where one order says 0 for no divergence at all, any target can be had."""
    noise = noise_for(1e-4, 0.5, 10, 0.01)
    assert epsilon(0.5, noise, 10, 0.01) <= 1e-4


LEAST = math.log1p(-1 / 1024) - math.log(1e-5 * 1024) / 1023  # 0.003502...


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: epsilon(0, 1.0, 1, 1e-5), "q must be in (0, 1], got 0"),
        (lambda: epsilon(1.5, 1.0, 1, 1e-5), "q must be in (0, 1], got 1.5"),
        (lambda: epsilon(math.nan, 1.0, 1, 1e-5), "q must be in (0, 1], got nan"),
        (lambda: epsilon(0.1, 0.0, 1, 1e-5), "noise must be in (0, inf), got"),
        (lambda: epsilon(0.1, -1, 1, 1e-5), "noise must be in (0, inf), got"),
        (lambda: epsilon(0.1, 1.0, 0, 1e-5), "steps must be an int >= 1, got 0"),
        (lambda: epsilon(0.1, 1.0, 2.0, 1e-5), "steps must be an int >= 1, got 2.0"),  # type: ignore[arg-type]
        (lambda: epsilon(0.1, 1.0, 1, 0.0), "delta must be in (0, 1), got 0.0"),
        (lambda: epsilon(0.1, 1.0, 1, 1), "delta must be in (0, 1), got 1"),
        (lambda: best_order(0.1, 1.0, 0, 1e-5), "steps must be an int >= 1, got 0"),
        (lambda: best_order(0.1, 1.0, 1, -1), "delta must be in (0, 1), got -1"),
        (lambda: noise_for(0.0, 0.1, 1, 1e-5), "target must be in (0, inf), got"),
        (lambda: noise_for(-2.0, 0.1, 1, 1e-5), "target must be in (0, inf), got"),
        (lambda: noise_for(0.003, 0.1, 1, 1e-5), "target must be > 0.0035 for delta"),
        (
            lambda: noise_for(LEAST * (1 + 1e-7), 0.1, 10**6, 1e-5),
            "target must be > 0.0035 for delta = 1e-05: the accountant has orders up "
            "to 1024, got",
        ),
        (lambda: noise_for(1.0, 0.0, 1, 1e-5), "q must be in (0, 1], got 0.0"),
        (lambda: rdp(0.1, 1.0, 1), "alpha must be in (1, inf), got 1"),
        (lambda: rdp(0.1, 1.0, math.inf), "alpha must be in (1, inf), got inf"),
        (lambda: rdp(0.1, 0.0, 2), "noise must be in (0, inf), got 0.0"),
        (lambda: rdp(-0.1, 1.0, 2), "q must be in (0, 1], got -0.1"),
        (lambda: to_epsilon(1.0, 1.0, 1e-5), "alpha must be in (1, inf), got 1.0"),
        (lambda: to_epsilon(2.0, -1.0, 1e-5), "spent must be in [0, inf), got -1.0"),
        (lambda: to_epsilon(2.0, 1.0, 0), "delta must be in (0, 1), got 0"),
    ],
)
def test_bad_input(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
