"""DP-SGD against its definition."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from deepopt_lib.autodiff import cross_entropy, tanh, value_and_grad
from deepopt_lib.core import Params, global_norm
from deepopt_lib.nn import init_mlp, mlp
from deepopt_lib.privacy import (
    clip_factors,
    clipped_sum,
    mlp_clipped_sum,
    poisson,
    privatize,
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


@pytest.mark.parametrize(
    ("call", "message"),
    [
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
