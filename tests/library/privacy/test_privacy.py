"""DP-SGD against its definition, and the accountant against truth from both sides."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm

from deepopt_lib.autodiff import cross_entropy, tanh, value_and_grad
from deepopt_lib.core import Params, global_norm
from deepopt_lib.nn import init_mlp, mlp
from deepopt_lib.privacy import (
    ORDERS,
    clip_factors,
    clipped_sum,
    epsilon,
    mlp_clipped_sum,
    noise_for,
    poisson,
    privatize,
    rdp,
)

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((9, 6)), RNG.integers(0, 4, 9)
NET: Params = {
    k: w + 0.3 * RNG.standard_normal(w.shape)  # biases, too
    for k, w in init_mlp(RNG, [6, 5, 5, 4]).items()
}


def loss(params: Any, x: Any, y: Any) -> Any:
    return cross_entropy(mlp(params, x), y)


def each() -> list[Params]:
    gradient = value_and_grad(loss)
    return [gradient(NET, X[i : i + 1], Y[i : i + 1])[1] for i in range(len(X))]


@pytest.mark.parametrize("clip", [0.1, 1.5, 1e6])
def test_the_sum_is_that_of_clipped_gradients(clip: float) -> None:
    total = clipped_sum(loss, NET, X, Y, clip)
    for k in NET:
        by_hand = [g[k] * min(1, clip / global_norm(g)) for g in each()]
        np.testing.assert_allclose(total[k], np.sum(by_hand, axis=0), atol=1e-12)


@pytest.mark.parametrize("clip", [0.1, 1.5, 1e6])
def test_one_pass_does_what_a_pass_for_each_sample_does(clip: float) -> None:
    fast, slow = mlp_clipped_sum(NET, X, Y, clip), clipped_sum(loss, NET, X, Y, clip)
    for k in NET:
        np.testing.assert_allclose(fast[k], slow[k], atol=1e-12)


def test_one_pass_with_another_activation() -> None:
    fast = mlp_clipped_sum(NET, X, Y, 0.5, tanh)
    slow = clipped_sum(
        lambda p, x, y: cross_entropy(mlp(p, x, tanh), y), NET, X, Y, 0.5
    )
    for k in NET:
        np.testing.assert_allclose(fast[k], slow[k], atol=1e-12)


def test_without_clipping_it_is_the_gradient() -> None:
    total, (_, mean) = (
        clipped_sum(loss, NET, X, Y, 1e6),
        value_and_grad(loss)(NET, X, Y),
    )
    for k in NET:
        np.testing.assert_allclose(total[k] / len(X), mean[k], atol=1e-12)


@pytest.mark.parametrize("clip", [0.01, 0.3, 3.0, 30.0])
def test_no_sample_moves_the_sum_by_more_than_the_clip(clip: float) -> None:
    whole = mlp_clipped_sum(NET, X, Y, clip)
    for i, grads in enumerate(each()):
        rest = np.arange(len(X)) != i
        less = mlp_clipped_sum(NET, X[rest], Y[rest], clip)
        moved = global_norm({k: whole[k] - less[k] for k in NET})
        assert moved == pytest.approx(min(clip, global_norm(grads)))


def test_integer_inputs_are_numbers() -> None:
    """Images of bytes: the gradients were all 0."""
    pixels: Any = RNG.integers(0, 3, (9, 6)).astype(np.uint8)
    fast = mlp_clipped_sum(NET, pixels, Y, 0.5)
    slow = clipped_sum(loss, NET, pixels.astype(float), Y, 0.5)
    for k in NET:
        np.testing.assert_allclose(fast[k], slow[k], atol=1e-12)


def test_sums_have_the_dtype_of_the_parameters() -> None:
    single = {k: w.astype(np.float32) for k, w in NET.items()}
    clip, noise = np.float64(0.5), np.float64(1.0)
    for total in (
        mlp_clipped_sum(single, X, Y, clip),
        clipped_sum(loss, single, X, Y, clip),
    ):
        assert {g.dtype for g in total.values()} == {np.dtype(np.float32)}
        out = privatize(total, clip, noise, np.float64(3.0), np.random.default_rng(0))
        assert {g.dtype for g in out.values()} == {np.dtype(np.float32)}
    norms = np.array([0.1, 2.0], np.float32)
    assert clip_factors(norms, clip).dtype == np.float32


def test_an_empty_sample_is_noise_alone() -> None:
    for total in (
        clipped_sum(loss, NET, X[:0], Y[:0], 1.0),
        mlp_clipped_sum(NET, X[:0], Y[:0], 1.0),
    ):
        assert global_norm(total) == 0
        assert global_norm(privatize(total, 1.0, 1.0, 5, np.random.default_rng(0))) > 0


def test_noise_has_the_promised_size_and_the_mean_is_the_sum_by_the_batch() -> None:
    total = {"a": np.full((300, 400), 6.0), "b": np.zeros(200_000)}
    out = privatize(total, 2.0, 1.5, 10, np.random.default_rng(0))
    assert out["a"].mean() == pytest.approx(0.6, abs=0.005)
    assert out["a"].std() == pytest.approx(0.3, rel=0.01)
    assert out["b"].std() == pytest.approx(0.3, rel=0.01)
    assert total["a"].std() == 0  # not touched
    again = privatize(total, 2.0, 1.5, 10, np.random.default_rng(0))
    np.testing.assert_array_equal(out["a"], again["a"])


def test_clip_factors() -> None:
    factors = clip_factors(np.array([0.0, 1.0, 2.0, 8.0]), 2.0)
    np.testing.assert_array_equal(factors, [1, 1, 1, 0.25])


def test_poisson_sizes_are_binomial() -> None:
    rng = np.random.default_rng(0)
    sizes = [len(poisson(100, 0.2, rng)) for _ in range(4000)]
    assert np.mean(sizes) == pytest.approx(20, abs=0.3)
    assert np.var(sizes) == pytest.approx(16, rel=0.1)
    assert len(poisson(7, 1, rng)) == 7
    drawn = poisson(100, 0.2, rng)
    assert (np.diff(drawn) > 0).all()


def divergence(q: float, noise: float, alpha: int) -> float:
    """Renyi divergence of the mixture from the plain Gaussian, by integration."""

    def integrand(z: float) -> float:
        ratio = 1 - q + q * math.exp((2 * z - 1) / (2 * noise**2))
        return float(norm.pdf(z, scale=noise)) * ratio**alpha

    total = quad(integrand, -40 * noise, alpha + 40 * noise, limit=500, epsabs=0)[0]
    return math.log(total) / (alpha - 1)


@pytest.mark.parametrize("q", [0.01, 0.2, 0.9, 1.0])
@pytest.mark.parametrize("noise", [0.8, 1.5, 4.0])
@pytest.mark.parametrize("alpha", [2, 3, 7])
def test_the_divergence_is_the_integral(q: float, noise: float, alpha: int) -> None:
    assert rdp(q, noise, alpha) == pytest.approx(divergence(q, noise, alpha), rel=1e-6)


@pytest.mark.parametrize("alpha", [2, 5, 64, 1024])
def test_the_divergence_without_sampling(alpha: int) -> None:
    assert rdp(1, 1.7, alpha) == pytest.approx(alpha / (2 * 1.7**2))
    assert rdp(1 - 1e-12, 1.7, alpha) == pytest.approx(rdp(1, 1.7, alpha), rel=1e-6)


def exact(noise: float, delta: float) -> float:
    """Epsilon of the Gaussian mechanism of sensitivity 1 (Balle and Wang 2018)."""

    def excess(e: float) -> float:
        far = norm.logcdf(-1 / (2 * noise) - e * noise)
        return float(norm.cdf(1 / (2 * noise) - e * noise) - np.exp(e + far)) - delta

    return float(brentq(excess, 0, 500))


@pytest.mark.parametrize("delta", [1e-3, 1e-5, 1e-8])
@pytest.mark.parametrize("noise", [0.7, 2.0, 10.0, 40.0])
@pytest.mark.parametrize("steps", [1, 100])
def test_never_below_the_exact_value(delta: float, noise: float, steps: int) -> None:
    """Steps without sampling are one step with the noise over the root of their number.

    And not far above it either: a bound of infinity would be sound, too.
    """
    truth = exact(noise / math.sqrt(steps), delta)
    assert truth <= epsilon(1, noise, steps, delta) < 2 * truth + 0.05


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


def test_steps_add_up() -> None:
    spent = [500 * rdp(0.02, 1.1, a) + math.log(1e5) / (a - 1) for a in ORDERS]
    assert epsilon(0.02, 1.1, 500, 1e-5) == pytest.approx(min(spent))


@pytest.mark.parametrize("alpha", [*range(2, 65), 80, 96, 128, 192, 256, 512, 1024])
def test_every_order_is_the_best_for_some_noise(alpha: int) -> None:
    """Without sampling, a/(2 s**2) + log(1/delta)/(a - 1) is least at a known a."""
    delta = 1e-5
    noise = (alpha - 1) / math.sqrt(2 * math.log(1 / delta))
    expected = alpha / (2 * noise**2) + math.log(1 / delta) / (alpha - 1)
    assert epsilon(1, noise, 1, delta) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("target", [0.1, 1.0, 8.0, 100.0])
def test_the_noise_is_enough_and_hardly_more(target: float) -> None:
    noise = noise_for(target, 0.06, 200, 1e-5)
    assert epsilon(0.06, noise, 200, 1e-5) <= target
    assert epsilon(0.06, noise * (1 - 1e-5), 200, 1e-5) > target


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
        (lambda: noise_for(0.0, 0.1, 1, 1e-5), "target must be in (0, inf), got"),
        (lambda: noise_for(-2.0, 0.1, 1, 1e-5), "target must be in (0, inf), got"),
        (lambda: noise_for(0.01, 0.1, 1, 1e-5), "target must be > 0.0113 for delta"),
        (
            lambda: noise_for(math.log(1e5) / 1023 * (1 + 1e-7), 0.1, 10**6, 1e-5),
            "target must be > 0.0113 for delta",
        ),
        (lambda: noise_for(1.0, 0.0, 1, 1e-5), "q must be in (0, 1], got 0.0"),
        (lambda: rdp(0.1, 1.0, 1), "alpha must be an int >= 2, got 1"),
        (lambda: rdp(0.1, 1.0, 2.5), "alpha must be an int >= 2, got 2.5"),  # type: ignore[arg-type]
        (lambda: poisson(0, 0.1, RNG), "n must be an int >= 1, got 0"),
        (lambda: poisson(5, 0.0, RNG), "q must be in (0, 1], got 0.0"),
        (lambda: clip_factors(np.ones(2), 0.0), "clip must be in (0, inf), got 0.0"),
        (lambda: clipped_sum(loss, NET, X, Y, -1.0), "clip must be in (0, inf), got"),
        (
            lambda: clipped_sum(loss, NET, X[:0], Y[:0], 0.0),
            "clip must be in (0, inf), got 0.0",
        ),
        (lambda: mlp_clipped_sum(NET, X, Y, math.inf), "clip must be in (0, inf), got"),
        (lambda: clipped_sum(loss, NET, X, Y[1:], 1.0), "differ in length: 9 and 8"),
        (lambda: mlp_clipped_sum(NET, X, Y[1:], 1.0), "differ in length: 9 and 8"),
        (
            lambda: mlp_clipped_sum(NET, X[:2], np.array([True, False]), 1.0),
            "y must be ints in [0, 4), got bool",
        ),
        (
            lambda: mlp_clipped_sum(NET, X[:2], np.array([-1, 4]), 1.0),
            "y must be ints in [0, 4), got [-1  4]",
        ),
        (lambda: privatize(NET, 0.0, 1.0, 5, RNG), "clip must be in (0, inf), got 0.0"),
        (
            lambda: privatize(NET, 1.0, 0.0, 5, RNG),
            "noise must be in (0, inf), got 0.0",
        ),
        (lambda: privatize(NET, 1.0, 1.0, 0, RNG), "batch must be in (0, inf), got 0"),
    ],
)
def test_bad_input(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
