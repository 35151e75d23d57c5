"""Second derivatives along a direction, and the largest of them."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from deepopt_lib import autodiff, nn
from deepopt_lib.autodiff import cross_entropy, hvp, top_eigenvalue, value_and_grad
from deepopt_lib.core import Array, Grads, Params


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


def quadratic_grad(H: Array) -> Callable[[Params], Grads]:
    def grad(p: Params) -> Grads:
        x = np.concatenate([p["a"], p["b"].ravel()])
        g = H @ x
        return {"a": g[:2], "b": g[2:].reshape(2, 2)}

    return grad


def symmetric(spectrum: list[float]) -> Array:
    n = len(spectrum)
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0]
    return np.asarray((Q * np.array(spectrum)) @ Q.T)


SPECTRUM = [5.0, 3.0, 2.0, 1.0, 0.5, -1.0]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_hvp_is_the_hessian_times_v(scale: float) -> None:
    H = symmetric(SPECTRUM)
    params: Params = {"a": numbers(2), "b": numbers(2, 2, seed=1)}
    v: Params = {"a": scale * numbers(2, seed=2), "b": scale * numbers(2, 2, seed=3)}
    found = hvp(quadratic_grad(H), params, v)
    flat = np.concatenate([found["a"], found["b"].ravel()])
    expected = H @ np.concatenate([v["a"], v["b"].ravel()])
    np.testing.assert_allclose(flat, expected, rtol=1e-8, atol=1e-8 * scale)
    assert found["b"].shape == (2, 2)


def test_hvp_of_a_curved_function() -> None:
    """f = sum(x**4)/4: the Hessian is diag(3 x**2)."""
    x, v = numbers(4), numbers(4, seed=1)
    run = value_and_grad(lambda p: autodiff.sum(p["x"] ** 4) * 0.25)
    found = hvp(lambda p: run(p)[1], {"x": x}, {"x": v})
    np.testing.assert_allclose(found["x"], 3 * x**2 * v, rtol=3e-9)


def test_hvp_of_nothing_is_nothing() -> None:
    params: Params = {"a": numbers(2), "b": numbers(2, 2)}
    zero: Params = {"a": np.zeros(2), "b": np.zeros((2, 2))}
    found = hvp(quadratic_grad(symmetric(SPECTRUM)), params, zero)
    np.testing.assert_array_equal(found["a"], zero["a"])
    np.testing.assert_array_equal(found["b"], zero["b"])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("top", [5.0, -7.0])
def test_top_eigenvalue_is_the_largest_in_size(top: float, scale: float) -> None:
    H = scale * symmetric([top, *SPECTRUM[1:]])
    top = scale * top
    params: Params = {"a": numbers(2), "b": numbers(2, 2, seed=1)}
    v: Params = {"a": numbers(2, seed=2), "b": numbers(2, 2, seed=3)}
    found, vector = top_eigenvalue(quadratic_grad(H), params, v, 60)
    assert found == pytest.approx(top, rel=1e-7)
    flat = np.concatenate([vector["a"], vector["b"].ravel()])
    assert np.linalg.norm(flat) == pytest.approx(1.0, rel=1e-9)
    np.testing.assert_allclose(H @ flat, top * flat, atol=1e-5 * scale)
    assert type(found) is float
    again, _ = top_eigenvalue(quadratic_grad(H), params, vector, 1)
    assert again == pytest.approx(top, rel=1e-7)


def test_top_eigenvalue_of_a_plane_is_zero() -> None:
    v: Params = {"a": np.ones(2), "b": np.ones((2, 2))}
    found, vector = top_eigenvalue(quadratic_grad(np.zeros((6, 6))), v, v, 3)
    assert found == 0.0
    assert all(np.all(np.isfinite(x)) for x in vector.values())


@pytest.mark.parametrize("iterations", [0, -1, 1.5, 2.0, True, None, math.nan, "3"])
def test_top_eigenvalue_wants_a_count(iterations: Any) -> None:
    v: Params = {"a": np.ones(2), "b": np.ones((2, 2))}
    with pytest.raises(ValueError, match=r"^iterations must be an int >= 1, got"):
        top_eigenvalue(quadratic_grad(np.eye(6)), v, v, iterations)


def test_top_eigenvalue_wants_a_direction() -> None:
    zero: Params = {"a": np.zeros(2), "b": np.zeros((2, 2))}
    with pytest.raises(ValueError, match=r"^v must not be zero"):
        top_eigenvalue(quadratic_grad(np.eye(6)), zero, zero, 3)


# The step: that of float64 is far too short for float32.


def cast(tree: Params, dtype: Any) -> Params:
    return {k: w.astype(dtype) for k, w in tree.items()}


def relative_error(found: Params, expected: Params) -> float:
    a, b = (np.concatenate([w.ravel() for w in t.values()]) for t in (found, expected))
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@pytest.mark.parametrize("size", [0.03, 1.0, 30.0, 1000.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_hvp_in_float32_is_that_of_float64(size: float, scale: float) -> None:
    """Of a network, whatever the length of v and the size of the weights."""
    x, y = numbers(20, 6, seed=1), np.arange(20) % 3
    params = nn.init_mlp(np.random.default_rng(0), [6, 8, 3], gain=1.0)
    params = {k: w + size * numbers(*w.shape, seed=2) for k, w in params.items()}
    inputs = x / max(size, 1.0)  # keep the softmax from its corners
    params["layer2.W"] /= max(size, 1.0)
    params["layer2.b"] /= max(size, 1.0)
    v = {k: scale * numbers(*w.shape, seed=3) for k, w in params.items()}

    def grad(p: Params) -> Grads:
        data = inputs.astype(p["layer1.W"].dtype)
        return value_and_grad(
            lambda p: cross_entropy(nn.mlp(p, data, autodiff.tanh), y)
        )(p)[1]

    exact = hvp(grad, params, v)
    found = hvp(grad, cast(params, np.float32), cast(v, np.float32))
    assert {w.dtype for w in found.values()} == {np.dtype(np.float32)}
    assert relative_error(found, exact) < 0.01


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hvp_of_large_weights(dtype: Any) -> None:
    """Where a step of a fixed length would be lost in rounding."""
    w = np.array([3e3, -2e3, 1e3], dtype)
    v = np.array([1.0, 2.0, -1.0], dtype)
    found = hvp(lambda p: {"w": 3 * p["w"]}, {"w": w}, {"w": v})
    rtol = 1e-2 if dtype == np.float32 else 1e-7
    np.testing.assert_allclose(found["w"], 3 * v, rtol=rtol)


def test_hvp_at_zero() -> None:
    """Where there is no largest weight to take a step by; nor in an empty array."""
    zero: Params = {"w": np.zeros(3), "none": np.zeros((0, 2))}
    v: Params = {"w": np.array([1.0, 2.0, -1.0]), "none": np.zeros((0, 2))}
    found = hvp(lambda p: {k: 3 * x for k, x in p.items()}, zero, v)
    np.testing.assert_allclose(found["w"], 3 * v["w"], rtol=1e-9)
    assert found["none"].shape == (0, 2)


def test_top_eigenvalue_in_float32() -> None:
    H = symmetric(SPECTRUM)
    params: Params = {"a": numbers(2), "b": numbers(2, 2, seed=1)}
    v: Params = {"a": numbers(2, seed=2), "b": numbers(2, 2, seed=3)}
    grad = quadratic_grad(H.astype(np.float32))
    found, _ = top_eigenvalue(grad, cast(params, np.float32), cast(v, np.float32), 40)
    assert found == pytest.approx(5.0, rel=1e-3)


def test_a_plane_in_float32_is_flat_not_nan() -> None:
    v: Params = {"a": np.ones(2, np.float32), "b": np.ones((2, 2), np.float32)}
    flat = quadratic_grad(np.zeros((6, 6), np.float32))
    found, vector = top_eigenvalue(flat, v, v, 3)
    assert found == 0.0
    assert all(np.all(np.isfinite(x)) for x in vector.values())


def test_hvp_wants_the_names_of_the_parameters() -> None:
    v: Params = {"a": np.ones(2), "c": np.ones((2, 2))}
    params: Params = {"a": np.ones(2), "b": np.ones((2, 2))}
    for direction in (v, {k: 0 * x for k, x in v.items()}):
        with pytest.raises(ValueError, match=r"missing \['b'\], unexpected \['c'\]"):
            hvp(quadratic_grad(np.eye(6)), params, direction)


def test_hvp_refuses_integers() -> None:
    params: Any = {"a": np.arange(2)}
    with pytest.raises(ValueError, match=r"^params\['a'\] must be .*, got int64"):
        hvp(lambda p: p, params, {"a": np.ones(2)})
