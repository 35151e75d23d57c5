"""float16 and float32: what is rounded, and what is not."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from deepopt_lib import autodiff
from deepopt_lib.autodiff import Statistics, cross_entropy, value_and_grad
from deepopt_lib.autodiff.ops.precision import at_least_float32
from deepopt_lib.core import Array, Params


def normal(*shape: int, seed: int = 0) -> Array:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


def several(*shapes: tuple[int, ...]) -> list[Array]:
    return [normal(*shape, seed=i) for i, shape in enumerate(shapes)]


def run(f: Callable[..., Any], args: list[Array]) -> tuple[Any, Params]:
    """Return the output and the gradients of sum(f * a fixed tensor)."""
    out: list[Any] = []

    def loss(p: Params) -> Any:
        y = f(*p.values())
        out.append(y.value)
        return autodiff.sum(y * normal(*y.shape, seed=99).astype(np.float16))

    _, grads = value_and_grad(loss)({str(i): a for i, a in enumerate(args)})
    return out[0], grads


def attend(*args: Any) -> Any:
    return autodiff.self_attention(*args, heads=2)


ATTENTION = several((2, 5, 4), (4, 12), (12,), (4, 4), (4,))
FIXED = Statistics(normal(6), np.abs(normal(6, seed=1)))
LAYERS: dict[str, tuple[Callable[..., Any], list[Array]]] = {
    "scores of 1e5": (attend, [100 * ATTENTION[0], 3 * ATTENTION[1], *ATTENTION[2:]]),
    "log_softmax of 4000 classes": (autodiff.log_softmax, [normal(3, 4000)]),
    "log_softmax of large logits": (autodiff.log_softmax, [9000 * normal(3, 5)]),
    "layer_norm whose squares overflow": (
        autodiff.layer_norm,
        [2000 * normal(3, 6), *several((6,), (6,))],
    ),
    "batch_norm whose squares overflow": (
        autodiff.batch_norm,
        [2000 * normal(9, 6), *several((6,), (6,))],
    ),
    "batch_norm with given statistics": (
        lambda *a: autodiff.batch_norm(*a, statistics=FIXED),
        [30 * normal(9, 6), *several((6,), (6,))],
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_float16_is_computed_in_float32(name: str) -> None:
    """Attention overflowed to NaN; what comes out is float32's, rounded."""
    f, args = LAYERS[name]
    half = [a.astype(np.float16) for a in args]
    out, grads = run(f, half)
    expected, wanted = run(f, [a.astype(np.float32) for a in half])
    assert out.dtype == np.float16
    assert np.all(np.isfinite(out))
    np.testing.assert_array_equal(out, expected.astype(np.float16))
    np.testing.assert_array_equal(f(*half), out)
    for k, g in grads.items():
        assert g.dtype == np.float16
        np.testing.assert_array_equal(g, wanted[k].astype(np.float16))


def test_float16_logits_have_a_float32_loss() -> None:
    logits = (9000 * normal(5, 4000)).astype(np.float16)
    labels = np.arange(5)
    loss = cross_entropy(logits, labels)
    assert loss.dtype == np.float32
    exact = cross_entropy(logits.astype(np.float64), labels)
    assert loss == pytest.approx(exact, rel=1e-6)


def test_many_float16_samples_are_not_lost() -> None:
    """A sum of ones ends at 2048 in float16, and 1e-5 is not a normal number there."""
    n = 10_000
    x = np.ones((n, 1), np.float16)
    labels = np.zeros(n, int)
    params: Params = {"W": np.zeros((1, 2), np.float16), "b": np.zeros(2, np.float16)}

    def loss(p: Any) -> Any:
        return cross_entropy(autodiff.linear(x, p["W"], p["b"]), labels)

    value, grads = value_and_grad(loss)(params)
    assert value == pytest.approx(math.log(2), rel=1e-6)
    for g in grads.values():
        assert g.dtype == np.float16
        np.testing.assert_allclose(g.ravel(), [-0.5, 0.5], rtol=2e-3)

    total = value_and_grad(
        lambda p: autodiff.sum(autodiff.linear(x, p["W"], p["b"]) * 0.5)
    )
    np.testing.assert_array_equal(total(params)[1]["b"], 5000)


def test_online_attention_in_float16() -> None:
    q, k, v = (a.astype(np.float16) for a in several((2, 5, 4), (2, 9, 4), (2, 9, 3)))
    q, k = 200 * q, 200 * k
    found = autodiff.online_attention(q, k, v, block=4)
    wide = [a.astype(np.float64) for a in (q, k, v)]
    expected = autodiff.online_attention(*wide, block=4)
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_wide_arrays_are_not_copied() -> None:
    for x in (normal(2), normal(2).astype(np.float32), normal(2).astype(np.longdouble)):
        assert at_least_float32(x) is x
    assert at_least_float32(np.ones(2, np.uint8)).dtype == np.float32


@pytest.mark.parametrize("dtype", [np.int64, np.int16, np.uint8])
def test_whole_numbers_are_not_computed_in_whole_numbers(dtype: Any) -> None:
    """Such as images of bytes: their mean was 0, and what was kept not scaled."""
    x = np.random.default_rng(0).integers(0, 200, (6, 5)).astype(dtype)
    g, b = np.full(5, 2.0), np.full(5, 0.25)
    before = Statistics(np.zeros(5), np.ones(5))

    def drop(x: Any) -> Any:
        return autodiff.dropout(x, rate=0.3, rng=np.random.default_rng(1))

    for f in (
        lambda x: autodiff.layer_norm(x, g, b),
        lambda x: autodiff.batch_norm(x, g, b),
        lambda x: autodiff.batch_norm(x, g, b, statistics=before),
        lambda x: autodiff.running_statistics(x, before, 0.5).mean,
        lambda x: autodiff.running_statistics(x, before, 0.5).var,
        lambda x: autodiff.log_softmax(x),
        lambda x: cross_entropy(x, np.arange(6) % 5),
        drop,
    ):
        np.testing.assert_allclose(f(x), f(x.astype(float)), rtol=1e-5, atol=1e-4)


def test_dropout_in_float16_stays_float16() -> None:
    x = normal(40, 5).astype(np.float16)
    out = autodiff.dropout(x, rate=0.3, rng=np.random.default_rng(1))
    wide = x.astype(np.float32)
    exact = autodiff.dropout(wide, rate=0.3, rng=np.random.default_rng(1))
    assert out.dtype == np.float16
    np.testing.assert_array_equal(out, exact.astype(np.float16))


def test_running_statistics_in_float16() -> None:
    x = (2000 * normal(50, 3)).astype(np.float16)
    before = Statistics(np.zeros(3, np.float32), np.ones(3, np.float32))
    found = autodiff.running_statistics(x, before, 0.5)
    expected = autodiff.running_statistics(x.astype(np.float64), before, 0.5)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-5)
    np.testing.assert_allclose(found.var, expected.var, rtol=1e-5)


# Rows and columns without variance.

CONSTANTS = [0.1, 1.7, 1000.1, -33333.3, 1e6 + 0.5]


@pytest.mark.parametrize("value", CONSTANTS)
@pytest.mark.parametrize("n", [3, 10, 100, 768, 1000])
def test_a_constant_row_is_normalized_to_zero(value: float, n: int) -> None:
    """In float32 the mean's rounding was taken for variance: .68 instead of 0."""
    x = np.full((4, n), value, np.float32)
    g, b = np.full(n, 2, np.float32), np.full(n, 0.25, np.float32)
    np.testing.assert_array_equal(autodiff.layer_norm(x, g, b), 0.25)


@pytest.mark.parametrize("value", CONSTANTS)
@pytest.mark.parametrize("n", [3, 100, 1000, 20_000])
def test_a_constant_column_is_normalized_to_zero(value: float, n: int) -> None:
    x = np.full((n, 2), value, np.float32)
    g, b = np.full(2, 2, np.float32), np.full(2, 0.25, np.float32)
    np.testing.assert_array_equal(autodiff.batch_norm(x, g, b), 0.25)
    before = Statistics(np.zeros(2, np.float32), np.ones(2, np.float32))
    after = autodiff.running_statistics(x, before, 0)
    np.testing.assert_array_equal(after.mean, x[0])
    np.testing.assert_array_equal(after.var, 0)


@pytest.mark.parametrize("first", [0.0, 1.0, 300.0, 1e5])
@pytest.mark.parametrize("offset", [0.0, 10.0, 1000.0])
def test_normalization_in_float32_is_that_of_float64(
    first: float, offset: float
) -> None:
    """Also where the first entry, which is taken off the others, lies far from them."""
    x = (offset + normal(64, 48)).astype(np.float32)
    x[:, 0] += np.float32(first)
    x[0] += np.float32(first)
    g, b = (a.astype(np.float32) for a in several((48,), (48,)))
    for layer in (autodiff.layer_norm, autodiff.batch_norm):
        exact = layer(x.astype(np.float64), g.astype(float), b.astype(float))
        np.testing.assert_allclose(layer(x, g, b), exact, rtol=1e-5, atol=1e-4)


# Scalars of NumPy: float64 ones would make float32 arrays float64.


@pytest.mark.parametrize(
    "f",
    [
        lambda x, s: autodiff.layer_norm(x, x[0], x[0], eps=s),
        lambda x, s: autodiff.batch_norm(x, x[0], x[0], eps=s),
        lambda x, s: autodiff.dropout(x, rate=s, rng=np.random.default_rng(0)),
        lambda x, s: autodiff.power(x, s),
        lambda x, s: autodiff.running_statistics(x, Statistics(x[0], x[1]), s).mean,
    ],
)
def test_numpy_scalars_do_not_promote(f: Callable[..., Any]) -> None:
    x = np.abs(normal(4, 3)).astype(np.float32)
    found = f(x, np.float64(0.25))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, f(x, 0.25))
