"""Attribution against closed forms, finite differences and its own axioms."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from deepopt_lib.autodiff import relu, sum, take, tanh
from deepopt_lib.core import Array
from deepopt_lib.explain import input_gradient, integrated_gradients, saliency
from deepopt_lib.nn import init_mlp, mlp

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 6))
NET = init_mlp(RNG, [6, 8, 5, 3])
W = RNG.standard_normal(6)


def logit(x: Any, activation: Any = tanh) -> Any:
    return take(mlp(NET, x, activation), (slice(None), 1))


def weighted(x: Any) -> Any:
    return sum(x * W, axis=1)


def test_the_gradient_of_each_sample_is_its_own() -> None:
    found, h = input_gradient(logit, X), 1e-6
    for i in range(len(X)):
        for j in range(6):
            step = np.zeros_like(X)
            step[i, j] = h
            change = (logit(X + step) - logit(X - step)) / (2 * h)
            np.testing.assert_allclose(found[i, j], change[i], atol=1e-8)
            assert np.count_nonzero(np.abs(change) > 1e-9) == 1
    np.testing.assert_array_equal(saliency(logit, X), np.abs(found))


def test_a_linear_score_is_split_exactly_by_one_step() -> None:
    b = RNG.standard_normal(6)
    shares = integrated_gradients(weighted, X, b, steps=1)
    np.testing.assert_allclose(shares, (X - b) * W, atol=1e-14)


def test_a_square_is_split_by_the_integral() -> None:
    """The gradient of the sum of squares is linear: the midpoint rule is exact."""
    shares = integrated_gradients(lambda x: sum(x * x, axis=1), X, steps=3)
    np.testing.assert_allclose(shares, X**2, atol=1e-14)


@pytest.mark.parametrize("baseline", [None, np.full(6, 0.3), X[::-1].copy()])
def test_completeness(baseline: Array | None) -> None:
    b = np.zeros_like(X) if baseline is None else np.broadcast_to(baseline, X.shape)
    shares = integrated_gradients(logit, X, baseline, steps=200)
    gap = shares.sum(axis=1) - (logit(X) - logit(b))
    assert np.abs(gap).max() < 1e-4
    coarse = integrated_gradients(logit, X, baseline, steps=50).sum(axis=1)
    worst = np.abs(coarse - (logit(X) - logit(b))).max()
    assert 10 < worst / np.abs(gap).max() < 25  # the midpoint rule: 4**2 for 4 times


def test_a_hundred_steps_by_default() -> None:
    found = integrated_gradients(logit, X)
    np.testing.assert_array_equal(found, integrated_gradients(logit, X, steps=100))


def test_completeness_with_kinks() -> None:
    shares = integrated_gradients(lambda x: logit(x, relu), X, steps=1000)
    expected = logit(X, relu) - logit(np.zeros_like(X), relu)
    np.testing.assert_allclose(shares.sum(axis=1), expected, atol=1e-2)


def test_an_input_without_influence_gets_nothing_and_equal_ones_get_the_same() -> None:
    """Sundararajan's axioms: sensitivity (b) and symmetry."""

    def f(x: Any) -> Any:
        first, second = take(x, (slice(None), 0)), take(x, (slice(None), 1))
        return tanh(first + second) * first * second

    x = np.array([[0.7, 0.7, 5.0, -2.0, 1.0, 0.0]])
    shares = integrated_gradients(f, x)
    assert shares[0, 0] == shares[0, 1] != 0
    np.testing.assert_array_equal(shares[0, 2:], 0)


def test_arguments_are_left_alone() -> None:
    x, b = X.copy(), np.ones(6)
    integrated_gradients(logit, x, b)
    saliency(logit, x)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(b, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: saliency(logit, X[0]), "x must have 2 axes, got shape (6,)"),
        (lambda: saliency(lambda x: sum(x), X), "f must return shape (4,), got ()"),
        (lambda: integrated_gradients(logit, X, steps=0), "steps must be an int >= 1"),
        (
            lambda: integrated_gradients(logit, X, np.zeros(5)),
            "baseline must have shape (6,), got (5,)",
        ),
        (
            lambda: integrated_gradients(logit, np.ones((2, 6), int)),
            "x must be a floating-point array, got int64",
        ),
        (
            lambda: integrated_gradients(logit, X, np.full(6, np.inf)),
            "baseline has 6 entries that are NaN",
        ),
        (lambda: saliency(logit, X * np.nan), "x has 24 entries that are NaN"),
    ],
)
def test_bad_input(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
