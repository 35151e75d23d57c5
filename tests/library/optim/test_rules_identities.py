"""Identities between rules: two sentences of theory that must give the same numbers."""

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

SHAPE = (4, 3)
STEPS = 20


def gradients(seed: int = 0, steps: int = STEPS) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(SHAPE) for _ in range(steps)]


def directions(rule: Rule, grads: list[Array], lr: float = 0.1) -> Array:
    """Return the directions, one a step, on the trajectory that they make."""
    w = np.random.default_rng(99).standard_normal(SHAPE)
    s: Any = rule.init(w)
    found = []
    for t, g in enumerate(grads, start=1):
        u, s = rule.update(g, s, w, t)
        w = w - lr * u
        found.append(u)
    return np.array(found)


def close(a: Array, b: Array) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("ema", [False, True])
def test_momentum_without_memory_is_gradient_descent(nesterov: bool, ema: bool) -> None:
    grads = gradients()
    found = directions(Momentum(0.0, nesterov=nesterov, ema=ema), grads)
    np.testing.assert_array_equal(found, directions(GradientDescent(), grads))
    np.testing.assert_array_equal(found, grads)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("mu", [0.3, 0.9])
def test_ema_is_the_heavy_ball_scaled(mu: float, nesterov: bool) -> None:
    grads = gradients()
    ball = directions(Momentum(mu, nesterov=nesterov), grads)
    ema = directions(Momentum(mu, nesterov=nesterov, ema=True), grads)
    close(ema, (1 - mu) * ball)


def test_nesterov_is_the_heavy_ball_one_gradient_ahead() -> None:
    """g + mu*v is the v that the same gradient, seen once more, would add to g."""
    grads = gradients()
    ball = directions(Momentum(0.8), grads)
    ahead = directions(Momentum(0.8, nesterov=True), grads)
    close(ahead, np.array(grads) + 0.8 * ball)


def test_rmsprop_is_adam_without_first_moment_and_correction() -> None:
    """Adam(b1=0) divides by sqrt(v / (1 - b2^t)): undo that and RMSprop is left."""
    grads = gradients()
    b2, eps = 0.97, 1e-3
    found = directions(RMSprop(b2, eps), grads)
    for t in range(1, STEPS + 1):
        correction = np.sqrt(1 - b2**t)
        adam = directions(Adam(0.0, b2, eps / correction), grads[:t])[-1]
        close(found[t - 1], adam / correction)


def test_rmsprop_without_memory_and_eps_is_the_sign() -> None:
    grads = gradients()
    close(directions(RMSprop(b2=0.0, eps=0.0), grads), np.sign(grads))


def test_adam_without_memory_and_eps_is_the_sign() -> None:
    grads = gradients()
    close(directions(Adam(0.0, 0.0, 0.0), grads), np.sign(grads))


def test_adams_first_step_is_the_sign_for_any_decay_rates() -> None:
    grads = gradients(steps=1)
    for rule in (Adam(eps=0.0), Adam(0.5, 0.7, 0.0), AMSGrad(eps=0.0), AdaGrad(0.0)):
        close(directions(rule, grads), np.sign(grads))


@pytest.mark.parametrize(
    "rule", [AdaGrad(0.0), RMSprop(eps=0.0), Adam(eps=0.0), AMSGrad(eps=0.0)], ids=repr
)
@pytest.mark.parametrize("c", [1e-6, 3.7, 1e8])
def test_without_eps_adaptive_rules_ignore_the_scale(rule: Rule, c: float) -> None:
    grads = gradients()
    close(directions(rule, [c * g for g in grads]), directions(rule, grads))


@pytest.mark.parametrize("rule", [AdaGrad(0.1), RMSprop(eps=0.1), Adam(eps=0.1)])
def test_eps_ends_the_scale_invariance(rule: Rule) -> None:
    grads = gradients()
    scaled = directions(rule, [1e-3 * g for g in grads])
    assert np.abs(scaled).max() < 0.2 * np.abs(directions(rule, grads)).max()


@pytest.mark.parametrize("c", [1e-6, 3.7, 1e8])
def test_lion_ignores_the_scale(c: float) -> None:
    grads = gradients()
    found = directions(Lion(), grads)
    np.testing.assert_array_equal(directions(Lion(), [c * g for g in grads]), found)
    assert set(np.unique(found)) <= {-1.0, 0.0, 1.0}


def test_lion_with_equal_rates_is_the_sign_of_the_ema() -> None:
    grads = gradients()
    average = directions(Momentum(0.9, ema=True), grads)
    np.testing.assert_array_equal(directions(Lion(0.9, 0.9), grads), np.sign(average))


def test_orthogonalize_ignores_scale_and_rotates_along() -> None:
    rng = np.random.default_rng(1)
    g = rng.standard_normal(SHAPE)
    w = np.zeros(SHAPE)
    rule = Orthogonalize()
    u, _ = rule.update(g, None, w, 1)
    scaled, _ = rule.update(1e9 * g, None, w, 1)
    np.testing.assert_allclose(scaled, u, rtol=1e-5)  # 1e-7 stands beside the norm
    q = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    rotated, _ = rule.update(q @ g, None, w, 1)
    np.testing.assert_allclose(rotated, q @ u, atol=1e-12)


def test_orthogonalize_of_the_transpose_is_the_transpose() -> None:
    """Up to the factor sqrt(max(1, columns/rows)), which wide matrices alone get."""
    g = np.random.default_rng(2).standard_normal((6, 3))
    tall, _ = Orthogonalize().update(g, None, g, 1)
    wide, _ = Orthogonalize().update(g.T, None, g.T, 1)
    np.testing.assert_allclose(np.sqrt(2) * tall, wide.T, rtol=1e-12)


@pytest.mark.parametrize("rule", [Adam(), Momentum(), Lion(), RMSprop()], ids=repr)
def test_no_weight_decay_is_the_rule_alone(rule: Rule) -> None:
    grads = gradients()
    alone = directions(rule, grads)
    for chained in (chain(rule, WeightDecay(0.0)), chain(WeightDecay(0.0), rule)):
        np.testing.assert_array_equal(directions(chained, grads), alone)


def test_for_gradient_descent_l2_and_decay_are_the_same() -> None:
    grads = gradients()
    before = directions(chain(WeightDecay(0.2), GradientDescent()), grads)
    after = directions(chain(GradientDescent(), WeightDecay(0.2)), grads)
    np.testing.assert_array_equal(before, after)


def test_for_adam_l2_and_decay_differ() -> None:
    grads = gradients()
    before = directions(chain(WeightDecay(0.2), Adam()), grads)
    after = directions(chain(Adam(), WeightDecay(0.2)), grads)
    assert np.abs(before - after).max() > 0.1


def test_amsgrad_is_adam_while_the_second_moment_grows() -> None:
    grads = [gradients()[0] * (-1.5) ** t for t in range(STEPS)]
    np.testing.assert_array_equal(
        directions(AMSGrad(), grads), directions(Adam(), grads)
    )


def test_amsgrad_is_slower_than_adam_once_it_falls() -> None:
    grads = [gradients()[0] * 0.5**t for t in range(STEPS)]
    adam = np.abs(directions(Adam(b2=0.5), grads))[1:]
    amsgrad = np.abs(directions(AMSGrad(b2=0.5), grads))[1:]
    assert np.all(amsgrad < adam)


def test_adagrad_is_rmsprop_with_equal_weights() -> None:
    """sqrt(sum g^2) = sqrt(t) * sqrt(mean g^2), and Adam's v_hat with b2 -> 1 is it."""
    grads = gradients()
    adam = directions(Adam(0.0, 1 - 1e-9, 0.0), grads)
    adagrad = directions(AdaGrad(0.0), grads)
    root = np.sqrt(np.arange(1, STEPS + 1)).reshape(-1, 1, 1)
    np.testing.assert_allclose(adam, root * adagrad, rtol=1e-6)


def test_chain_of_one_is_the_rule() -> None:
    grads = gradients()
    np.testing.assert_array_equal(
        directions(chain(Adam()), grads), directions(Adam(), grads)
    )


def test_chain_is_associative() -> None:
    grads = gradients()
    a, b, c = Momentum(), Adam(), WeightDecay(0.1)
    flat = directions(chain(a, b, c), grads)
    np.testing.assert_array_equal(directions(chain(chain(a, b), c), grads), flat)
    np.testing.assert_array_equal(directions(chain(a, chain(b, c)), grads), flat)


def test_chain_has_gradient_descent_as_its_one() -> None:
    grads = gradients()
    alone = directions(Adam(), grads)
    for chained in (chain(GradientDescent(), Adam()), chain(Adam(), GradientDescent())):
        np.testing.assert_array_equal(directions(chained, grads), alone)


def test_chain_feeds_each_link_the_direction_before_it() -> None:
    """Two EMAs in a row are an EMA of the EMA, unlike either alone."""
    grads = gradients()
    first = directions(Momentum(0.5, ema=True), grads)
    second = directions(Momentum(0.8, ema=True), list(first))
    chained = directions(chain(Momentum(0.5, ema=True), Momentum(0.8, ema=True)), grads)
    close(chained, second)


@pytest.mark.parametrize(
    "rule",
    [GradientDescent(), Momentum(), AdaGrad(), RMSprop(), Adam(), AMSGrad(), Lion()],
    ids=repr,
)
def test_turning_the_gradients_turns_the_directions(rule: Rule) -> None:
    grads = gradients()
    found = directions(rule, [-g for g in grads])
    np.testing.assert_array_equal(found, -directions(rule, grads))
