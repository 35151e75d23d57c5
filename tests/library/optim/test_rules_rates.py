"""Rules against what theory says in closed form: rates, not "the loss fell"."""

import math
from typing import Any

import numpy as np
import pytest

from deepopt_lib.core import Array, Rule
from deepopt_lib.optim import (
    AdaGrad,
    Adam,
    AMSGrad,
    GradientDescent,
    Lion,
    Momentum,
    Orthogonalize,
    RMSprop,
    WeightDecay,
    chain,
)


def minimize(rule: Rule, spectrum: Array, lr: float, x0: Array, steps: int) -> Array:
    """Return the iterates on f(x) = sum(spectrum * x**2) / 2, the start included."""
    x = x0
    s: Any = rule.init(x)
    xs = [x]
    for t in range(1, steps + 1):
        u, s = rule.update(spectrum * x, s, x, t)
        x = x - lr * u
        xs.append(x)
    return np.array(xs)


@pytest.mark.parametrize("kappa", [2.0, 10.0, 100.0])
def test_gradient_descent_contracts_by_the_optimal_rate(kappa: float) -> None:
    """lr = 2/(L+mu): every step shrinks the two extremes by (kappa-1)/(kappa+1)."""
    mu, largest = 0.5, 0.5 * kappa
    lr = 2 / (largest + mu)
    rate = (kappa - 1) / (kappa + 1)
    spectrum = np.array([mu, largest])
    xs = minimize(GradientDescent(), spectrum, lr, np.array([3.0, -2.0]), 30)
    np.testing.assert_allclose(np.abs(xs[1:] / xs[:-1]), rate, rtol=1e-11)


def test_gradient_descent_in_between_contracts_faster() -> None:
    """The norm over a whole spectrum falls at least at that rate, in the end at it."""
    spectrum = np.linspace(1.0, 20.0, 15)
    rate = 19 / 21
    xs = minimize(GradientDescent(), spectrum, 2 / 21, np.ones(15), 150)
    norms = np.linalg.norm(xs, axis=1)
    ratios = norms[1:] / norms[:-1]
    assert np.all(ratios <= rate * (1 + 1e-12))
    assert ratios[0] < 0.7
    assert ratios[-1] == pytest.approx(rate, rel=1e-9)


def test_gradient_descent_with_1_over_l_contracts_by_1_minus_1_over_kappa() -> None:
    xs = minimize(GradientDescent(), np.array([1.0, 8.0]), 1 / 8, np.ones(2), 40)
    np.testing.assert_allclose(xs[1:, 0] / xs[:-1, 0], 1 - 1 / 8, rtol=1e-12)
    np.testing.assert_array_equal(xs[1:, 1], 0.0)


@pytest.mark.parametrize(
    ("excess", "grows"), [(0.99, False), (1.01, True), (1.5, True)], ids=str
)
def test_gradient_descent_diverges_beyond_2_over_l(excess: float, grows: bool) -> None:
    largest = 4.0
    lr = excess * 2 / largest
    xs = minimize(GradientDescent(), np.array([largest]), lr, np.ones(1), 100)
    factor = abs(1 - lr * largest)
    assert (factor > 1) is grows
    np.testing.assert_allclose(np.abs(xs[:, 0]), factor ** np.arange(101), rtol=1e-11)


def test_gradient_descent_at_2_over_l_neither_falls_nor_grows() -> None:
    xs = minimize(GradientDescent(), np.array([4.0]), 0.5, np.ones(1), 100)
    np.testing.assert_array_equal(xs[:, 0], (-1.0) ** np.arange(101))


def casoratian(x: Array) -> Array:
    """x[t-1]*x[t+1] - x[t]**2: for a recurrence of order two it changes by one factor.

    x[t+1] = p*x[t] - q*x[t-1] makes it q times the one before, at every step.
    """
    return np.asarray(x[:-2] * x[2:] - x[1:-1] ** 2)


@pytest.mark.parametrize("beta", [0.5, 0.81, 0.95])
@pytest.mark.parametrize("curvature", [0.5, 1.0, 1.9])
def test_heavy_ball_rate_is_root_beta_in_the_complex_regime(
    beta: float, curvature: float
) -> None:
    """|x| ~ beta**(t/2) whatever the curvature, while (1-sqrt(b))^2 < lr*c < (1+..)^2.

    The roots' product is beta exactly; a fit over many periods sees its root.
    """
    lr = 0.7
    assert (1 - math.sqrt(beta)) ** 2 < lr * curvature < (1 + math.sqrt(beta)) ** 2
    xs = minimize(Momentum(beta), np.array([curvature]), lr, np.ones(1), 400)[:, 0]
    early = casoratian(xs[:60])
    np.testing.assert_allclose(early[1:] / early[:-1], beta, rtol=1e-9)

    size = np.sqrt(xs[:-1] ** 2 + xs[1:] ** 2)
    t = np.arange(size.size)
    slope = np.polyfit(t, np.log(size), 1)[0]
    assert math.exp(slope) == pytest.approx(math.sqrt(beta), rel=2e-3)


def test_heavy_ball_with_polyaks_choice_beats_gradient_descent() -> None:
    """Its rate is (sqrt(k)-1)/(sqrt(k)+1); both extremes are then critically damped.

    There |x| ~ (a + b*t) * rate**t, so rate**t is recovered after dividing out x/t.
    """
    mu, largest = 1.0, 100.0
    rate = (math.sqrt(largest) - 1) / (math.sqrt(largest) + 1)
    lr = (2 / (math.sqrt(largest) + math.sqrt(mu))) ** 2
    xs = minimize(Momentum(rate**2), np.array([mu, largest]), lr, np.ones(2), 60)
    scaled = xs / rate ** np.arange(61)[:, None]
    scaled[:, 1] *= (-1.0) ** np.arange(61)
    np.testing.assert_allclose(np.diff(scaled, n=2, axis=0), 0, atol=1e-8)


@pytest.mark.parametrize("mu", [0.5, 0.9])
def test_ema_needs_the_larger_rate_to_be_the_heavy_ball(mu: float) -> None:
    spectrum, x0 = np.array([0.3, 1.0, 1.7]), np.array([1.0, -2.0, 3.0])
    ball = minimize(Momentum(mu), spectrum, 0.5, x0, 50)
    ema = minimize(Momentum(mu, ema=True), spectrum, 0.5 / (1 - mu), x0, 50)
    np.testing.assert_allclose(ema, ball, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mu", [0.5, 0.9])
def test_nesterov_damps_by_the_curvature_as_well(mu: float) -> None:
    """The product of its roots is mu*(1 - lr*c), where the heavy ball's is mu."""
    curvature, lr = 0.8, 0.5
    rule = Momentum(mu, nesterov=True)
    x = minimize(rule, np.array([curvature]), lr, np.ones(1), 40)[:, 0]
    found = casoratian(x)
    expected = mu * (1 - lr * curvature)
    # The start at rest is no part of the recurrence, which begins a step later.
    np.testing.assert_allclose(found[2:] / found[1:-1], expected, rtol=1e-8)


@pytest.mark.parametrize(("excess", "grows"), [(0.99, False), (1.01, True)], ids=str)
def test_heavy_ball_is_stable_up_to_2_times_1_plus_beta_over_l(
    excess: float, grows: bool
) -> None:
    beta, largest = 0.9, 4.0
    lr = excess * 2 * (1 + beta) / largest
    x = minimize(Momentum(beta), np.array([largest]), lr, np.ones(1), 2000)[:, 0]
    assert bool(abs(x[-1]) > 1e3) is grows
    assert bool(abs(x[-1]) < 1e-3) is not grows


def under_constant_gradient(rule: Rule, steps: int = 30) -> Array:
    """Return the directions under g = (2, -0.5) for ever, times the gradient's sign."""
    g = np.array([2.0, -0.5])
    w = np.zeros(2)
    s: Any = rule.init(w)
    us = []
    for t in range(1, steps + 1):
        u, s = rule.update(g, s, w, t)
        us.append(u * np.sign(g))
    return np.array(us)


T = np.arange(1.0, 31.0)[:, None]
SIZE = np.array([2.0, 0.5])
CONSTANT: list[tuple[Rule, Array]] = [
    (GradientDescent(), SIZE * T**0),
    # A ball under a constant force approaches its terminal velocity g/(1-mu).
    (Momentum(0.9), SIZE * (1 - 0.9**T) / 0.1),
    (Momentum(0.9, nesterov=True), SIZE * (1 - 0.9 ** (T + 1)) / 0.1),
    (Momentum(0.9, ema=True), SIZE * (1 - 0.9**T)),
    (Momentum(0.9, nesterov=True, ema=True), SIZE * (1 - 0.9 ** (T + 1))),
    # AdaGrad's steps fall as 1/sqrt(t), whatever the gradient's size.
    (AdaGrad(0.0), np.ones(2) / np.sqrt(T)),
    (AdaGrad(0.3), SIZE / (SIZE * np.sqrt(T) + 0.3)),
    # RMSprop without bias correction starts too fast by 1/sqrt(1-b2): ten times here.
    (RMSprop(0.99, 0.0), np.ones(2) / np.sqrt(1 - 0.99**T)),
    (RMSprop(0.9, 0.3), SIZE / (SIZE * np.sqrt(1 - 0.9**T) + 0.3)),
    # The corrections make Adam's step 1 from the first step on.
    (Adam(eps=0.0), np.ones(2) * T**0),
    (Adam(0.5, 0.7, 0.3), SIZE / (SIZE + 0.3) * T**0),
    (AMSGrad(eps=0.0), np.ones(2) * T**0),
    (AMSGrad(0.5, 0.7, 0.3), SIZE / (SIZE + 0.3) * T**0),
    (Lion(), np.ones(2) * T**0),
    (chain(Lion(), Momentum(0.5)), np.ones(2) * (1 - 0.5**T) / 0.5),
]


@pytest.mark.parametrize(
    ("rule", "expected"), CONSTANT, ids=[repr(rule) for rule, _ in CONSTANT]
)
def test_step_sizes_under_a_constant_gradient(rule: Rule, expected: Array) -> None:
    np.testing.assert_allclose(under_constant_gradient(rule), expected, rtol=1e-11)


def test_weight_decay_alone_shrinks_geometrically() -> None:
    w = np.array([2.0, -3.0])
    rule = chain(Adam(), WeightDecay(0.5))
    s = rule.init(w)
    for t in range(1, 21):
        u, s = rule.update(np.zeros(2), s, w, t)
        w = w - 0.1 * u
        np.testing.assert_allclose(w, np.array([2.0, -3.0]) * 0.95**t, rtol=1e-12)


def test_amsgrad_keeps_the_step_small_after_a_burst() -> None:
    """One gradient of 10, then 1: v_max stays, while Adam's v forgets."""
    b2 = 0.5
    sizes = {}
    for rule in (Adam(0.0, b2, 0.0), AMSGrad(0.0, b2, 0.0)):
        s: Any = rule.init(np.zeros(1))
        for t in range(1, 31):
            u, s = rule.update(np.array([10.0 if t == 1 else 1.0]), s, np.zeros(1), t)
        sizes[type(rule)] = u[0]
    assert sizes[Adam] == pytest.approx(1.0, rel=1e-6)
    assert sizes[AMSGrad] == pytest.approx(1 / math.sqrt((1 - b2) * 100), rel=1e-6)


def test_lion_remembers_by_b2_and_speaks_by_b1() -> None:
    """After one gradient of 1, zeros keep the sign; a small -c flips it at a known c.

    m = (1-b2) after the first step; b1*m - (1-b1)*c changes sign at c = b1*m/(1-b1).
    """
    b1, b2 = 0.8, 0.9
    rule = Lion(b1, b2)
    w = np.zeros(1)
    _, m = rule.update(np.ones(1), rule.init(w), w, 1)
    assert m[0] == pytest.approx(0.1, rel=1e-12)
    border = b1 * 0.1 / (1 - b1)
    for c, sign in ((0.0, 1.0), (0.99 * border, 1.0), (1.01 * border, -1.0)):
        u, _ = rule.update(np.array([-c]), m, w, 2)
        assert u[0] == sign
    silent, _ = rule.update(np.zeros(1), rule.init(w), w, 1)
    assert silent[0] == 0.0


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_orthogonalize_maps_singular_values_by_its_polynomial(steps: int) -> None:
    """Each step maps s to 3.4445 s - 4.7750 s^3 + 2.0315 s^5, vectors untouched."""
    rng = np.random.default_rng(3)
    g = rng.standard_normal((8, 5))
    left, values, right = np.linalg.svd(g, full_matrices=False)
    values = values / (np.sqrt(np.sum(values**2)) + 1e-7)
    for _ in range(steps):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    u, _ = Orthogonalize(steps).update(g, None, g, 1)
    np.testing.assert_allclose(u, (left * values) @ right, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "factor"),
    [((1, 9), 3.0), ((2, 8), 2.0), ((8, 2), 1.0), ((5, 5), 1.0)],
    ids=str,
)
def test_orthogonalize_scales_wide_matrices(
    shape: tuple[int, int], factor: float
) -> None:
    """The factor is sqrt(max(1, columns/rows)): read off a matrix of equal values."""
    g = np.eye(*shape)
    u, _ = Orthogonalize().update(g, None, g, 1)
    value = 1 / (math.sqrt(min(shape)) + 1e-7)
    for _ in range(5):
        value = 3.4445 * value - 4.7750 * value**3 + 2.0315 * value**5
    np.testing.assert_allclose(u, factor * value * g, atol=1e-12)
