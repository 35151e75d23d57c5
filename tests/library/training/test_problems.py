"""Problems: gradients, minima and spectra that are known."""

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from deepopt_lib.core import Array, Rule
from deepopt_lib.optim import Adam, AMSGrad
from deepopt_lib.training import (
    Problem,
    beale,
    bowl,
    logistic_regression,
    noisy,
    quadratic,
    reddi,
    rosenbrock,
)
from deepopt_lib.training.problems import __all__


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


X = rng(3).standard_normal((40, 3))
Y = (X @ np.array([1.0, -2.0, 0.5]) + rng(4).standard_normal(40) > 0).astype(int)
SPECTRUM = [0.5, 1.0, 4.0, 30.0]

# What builds each problem; a new one without an entry fails.
BUILDERS: dict[str, list[Callable[[], Problem]]] = {
    "quadratic": [
        lambda: quadratic(SPECTRUM),
        lambda: quadratic(SPECTRUM, rng=rng()),
        lambda: quadratic([3.0]),
    ],
    "bowl": [bowl, lambda: bowl(2)],
    "rosenbrock": [rosenbrock],
    "beale": [beale],
    "logistic_regression": [
        lambda: logistic_regression(X, Y),
        lambda: logistic_regression(X, Y, lam=0.5),
    ],
}
ONLINE = {"reddi"}  # f and grad depend on the step; tested on their own
NOT_PROBLEMS = {"Problem", "noisy"}
every_problem = pytest.mark.parametrize(
    "build",
    [
        pytest.param(b, id=f"{k}-{i}")
        for k in BUILDERS
        for i, b in enumerate(BUILDERS[k])
    ],
)


def test_every_problem_is_here() -> None:
    assert set(__all__) == BUILDERS.keys() | ONLINE | NOT_PROBLEMS


def central_difference(f: Callable[[Array], float], x: Array) -> Array:
    g = np.zeros_like(x)
    for i in range(x.size):
        h = 6e-6 * max(1.0, abs(x[i]))
        e = np.eye(x.size)[i] * h
        g[i] = (f(x + e) - f(x - e)) / (2 * h)
    return g


@every_problem
def test_gradient_is_the_central_difference(build: Callable[[], Problem]) -> None:
    problem = build()
    points = [problem.x0, problem.minimum, *rng(1).uniform(-2, 2, (5, problem.x0.size))]
    for x in points:
        numeric = central_difference(problem.f, x)
        g = problem.grad(x)
        assert g.shape == x.shape
        assert g.dtype == np.float64
        scale = max(1.0, np.abs(numeric).max())
        np.testing.assert_allclose(g, numeric, atol=1e-6 * scale)


@every_problem
def test_minimum_is_stationary_and_lowest_nearby(build: Callable[[], Problem]) -> None:
    problem = build()
    assert np.linalg.norm(problem.grad(problem.minimum)) < 1e-9
    lowest = problem.f(problem.minimum)
    assert problem.f(problem.x0) > lowest
    for step in rng(2).standard_normal((50, problem.x0.size)):
        assert problem.f(problem.minimum + 1e-2 * step) > lowest


@every_problem
def test_values_are_floats_and_points_are_only_read(
    build: Callable[[], Problem],
) -> None:
    problem = build()
    x = problem.x0.copy()
    x.setflags(write=False)
    assert type(problem.f(x)) is float
    assert problem.x0.dtype == problem.minimum.dtype == np.float64
    assert problem.x0.shape == problem.minimum.shape
    np.testing.assert_array_equal(problem.grad(x), problem.grad(x))
    g = problem.grad(x)
    g += 1.0
    assert not np.array_equal(problem.grad(x), g)


@every_problem
def test_problems_do_not_share_arrays(build: Callable[[], Problem]) -> None:
    first, second = build(), build()
    first.x0[:] = 77.0
    first.minimum[:] = 77.0
    assert not np.any(second.x0 == 77.0)
    assert not np.any(second.minimum == 77.0)


def test_a_problem_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        bowl().x0 = np.zeros(2)  # type: ignore[misc]


# Known values.


def test_rosenbrocks_known_values() -> None:
    problem = rosenbrock()
    assert problem.f(np.array([1.0, 1.0])) == 0.0
    assert problem.f(np.array([-1.2, 1.0])) == pytest.approx(24.2, rel=1e-14)
    assert problem.f(np.array([0.0, 0.0])) == 1.0
    np.testing.assert_array_equal(problem.x0, [-1.2, 1.0])
    np.testing.assert_array_equal(problem.minimum, [1.0, 1.0])
    np.testing.assert_array_equal(problem.grad(np.zeros(2)), [-2.0, 0.0])


def test_beales_known_values() -> None:
    problem = beale()
    assert problem.f(np.array([3.0, 0.5])) == 0.0
    assert problem.f(np.array([0.0, 0.0])) == 14.203125
    assert problem.f(np.array([1.0, 1.0])) == 14.203125
    np.testing.assert_array_equal(problem.x0, [1.0, 1.0])
    np.testing.assert_array_equal(problem.minimum, [3.0, 0.5])


def test_bowl_is_the_sum_of_squares() -> None:
    problem = bowl()
    x = np.arange(10.0)
    assert problem.f(x) == 285.0
    np.testing.assert_array_equal(problem.grad(x), 2 * x)
    assert bowl(3).x0.shape == (3,)


def hessian(problem: Problem) -> Array:
    """Columns of the Hessian of a quadratic: its gradients at the unit vectors."""
    return np.array([problem.grad(e) for e in np.eye(problem.x0.size)]).T


def test_quadratic_on_the_axes_is_diagonal() -> None:
    problem = quadratic(SPECTRUM)
    np.testing.assert_array_equal(hessian(problem), np.diag(SPECTRUM))
    np.testing.assert_array_equal(problem.x0, np.ones(4))
    assert problem.f(np.ones(4)) == 35.5 / 2


@pytest.mark.parametrize("seed", range(3))
def test_rotated_quadratic_has_its_spectrum(seed: int) -> None:
    problem = quadratic(SPECTRUM, rng=rng(seed))
    H = hessian(problem)
    np.testing.assert_allclose(H, H.T, atol=1e-12)
    np.testing.assert_allclose(np.linalg.eigvalsh(H), SPECTRUM, rtol=1e-11)
    assert np.abs(H - np.diag(np.diag(H))).max() > 0.1
    # The start has the component 1 along every eigenvector, as on the axes.
    _, vectors = np.linalg.eigh(H)
    np.testing.assert_allclose(np.abs(vectors.T @ problem.x0), 1.0, rtol=1e-10)
    assert problem.f(problem.x0) == pytest.approx(sum(SPECTRUM) / 2, rel=1e-12)
    x = rng(9).standard_normal(4)
    assert problem.f(x) == pytest.approx(x @ H @ x / 2, rel=1e-12)


def test_quadratics_rotation_comes_from_the_generator() -> None:
    a, b, c = (quadratic(SPECTRUM, rng=rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(hessian(a), hessian(b))
    assert not np.allclose(hessian(a), hessian(c))


def test_a_spectrum_of_whole_numbers_is_one_of_floats() -> None:
    for problem in (quadratic([1, 2]), quadratic(np.ones(2, np.float32))):
        assert problem.x0.dtype == problem.grad(problem.x0).dtype == np.float64


def test_quadratic_keeps_its_own_spectrum() -> None:
    spectrum = np.array(SPECTRUM)
    problem = quadratic(spectrum)
    spectrum[:] = 99.0
    np.testing.assert_array_equal(problem.grad(np.ones(4)), SPECTRUM)


@pytest.mark.parametrize("lam", [1e-3, 0.5])
def test_logistic_regression_is_the_sum_by_hand(lam: float) -> None:
    problem = logistic_regression(X, Y, lam)
    w = np.array([0.3, -0.2, 1.1])
    total = 0.0
    for x, y in zip(X.tolist(), Y.tolist(), strict=True):
        margin = math.fsum(a * b for a, b in zip(x, w.tolist(), strict=True))
        total += math.log(1 + math.exp(-margin if y == 1 else margin))
    expected = total / len(X) + lam / 2 * math.fsum(v * v for v in w.tolist())
    assert problem.f(w) == pytest.approx(expected, rel=1e-13)
    np.testing.assert_array_equal(problem.x0, np.zeros(3))
    assert problem.f(problem.x0) == pytest.approx(math.log(2), rel=1e-14)


def test_logistic_regression_takes_default_decay_and_booleans() -> None:
    a, b = logistic_regression(X, Y), logistic_regression(X, Y.astype(bool), 1e-3)
    c = logistic_regression(X, Y.tolist())
    w = np.array([0.3, -0.2, 1.1])
    assert a.f(w) == b.f(w) == c.f(w)


def test_logistic_regression_does_not_overflow() -> None:
    problem = logistic_regression(X, Y)
    w = np.array([1e5, -2e5, 3e5])
    assert math.isfinite(problem.f(w))
    assert np.all(np.isfinite(problem.grad(w)))


# Noise.


@pytest.mark.parametrize(("sigma", "batch"), [(1.0, 1), (2.0, 16), (0.5, 4)])
def test_noise_has_zero_mean_and_falls_as_one_over_root_batch(
    sigma: float, batch: int
) -> None:
    problem = quadratic(SPECTRUM)
    grad = noisy(problem, sigma, batch, rng())
    x = np.array([1.0, -1.0, 2.0, 0.5])
    errors = np.array([grad(x) for _ in range(5000)]) - problem.grad(x)
    expected = sigma / math.sqrt(batch)
    np.testing.assert_allclose(errors.std(axis=0), expected, rtol=0.04)
    np.testing.assert_allclose(errors.mean(axis=0), 0.0, atol=4 * expected / 5000**0.5)
    correlation = np.corrcoef(errors.T) - np.eye(4)
    assert np.abs(correlation).max() < 0.06


def test_noise_comes_from_the_generator() -> None:
    problem = bowl(3)
    a, b = (noisy(problem, 1.0, 1, rng(5)) for _ in range(2))
    first = a(problem.x0)
    np.testing.assert_array_equal(first, b(problem.x0))
    assert not np.array_equal(first, a(problem.x0))


def test_no_noise_is_the_gradient() -> None:
    problem = beale()
    grad = noisy(problem, 0.0, 1, rng())
    np.testing.assert_array_equal(grad(problem.x0), problem.grad(problem.x0))


# Reddi's counterexample.


def test_reddi_is_steep_once_in_three_steps() -> None:
    problem = reddi(4.0)
    x = np.array([0.5])
    assert [problem.f(x, t) for t in range(1, 7)] == [2.0, -0.5, -0.5] * 2
    assert [problem.grad(x, t)[0] for t in range(1, 7)] == [4.0, -1.0, -1.0] * 2
    assert isinstance(problem.x0, np.ndarray)
    assert problem.x0.tolist() == [0.0] and problem.minimum.tolist() == [-1.0]
    assert type(problem.f(x, 1)) is float
    assert reddi().grad(x, 1)[0] == 3.0
    # Over a period the loss is (c - 2) x: the best fixed point of [-1, 1] is -1.
    assert sum(problem.f(problem.minimum, t) for t in (1, 2, 3)) == -2.0


def test_on_reddi_adam_ends_at_the_worst_point_and_amsgrad_does_not() -> None:
    """Theorem 1: b1 = 0, b2 = 1/(1 + c^2), lr = 0.5/sqrt(t), projected to [-1, 1]."""
    c = 3.0
    problem = reddi(c)
    ends = {}
    rules: list[Rule] = [
        Adam(0.0, 1 / (1 + c**2), 0.0),
        AMSGrad(0.0, 1 / (1 + c**2), 0.0),
    ]
    for rule in rules:
        x, s = problem.x0, rule.init(problem.x0)
        for t in range(1, 3001):
            u, s = rule.update(problem.grad(x, t), s, x, t)
            x = np.clip(x - 0.5 / math.sqrt(t) * u, -1.0, 1.0)
        ends[type(rule)] = float(x[0])
    assert ends[Adam] > 0.9
    assert ends[AMSGrad] < -0.9


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    **{
        f"quadratic of {bad}": (
            lambda bad=bad: quadratic(bad),  # type: ignore[misc]
            r"^spectrum must be a list of numbers > 0, got ",
        )
        for bad in ([], [1.0, 0.0], [-1.0], [math.nan], [math.inf], 2.0, [[1.0]])
    },
    "logistic regression on a vector": (
        lambda: logistic_regression(X[0], Y),
        r"^x \(n, d\) and y \(n,\) do not fit: \(3,\), \(40,\)",
    ),
    "logistic regression on as many numbers as labels": (
        lambda: logistic_regression(X[:, 0], Y),
        r"do not fit: \(40,\), \(40,\)",
    ),
    "logistic regression with too few labels": (
        lambda: logistic_regression(X, Y[:-1]),
        r"do not fit: \(40, 3\), \(39,\)",
    ),
    "logistic regression with a column of labels": (
        lambda: logistic_regression(X, Y[:, None]),
        r"do not fit: \(40, 3\), \(40, 1\)",
    ),
    "logistic regression with signs": (
        lambda: logistic_regression(X, 2 * Y - 1),
        r"^y must hold 0 and 1, got \[-1  1\]",
    ),
    **{
        f"logistic regression with lam={bad!r}": (
            lambda bad=bad: logistic_regression(X, Y, bad),  # type: ignore[misc]
            r"^lam must be in \(0, inf\), got ",
        )
        for bad in (0.0, -1.0, math.nan, "1", None)
    },
    **{
        f"noise of {bad!r}": (
            lambda bad=bad: noisy(bowl(), bad, 1, rng()),  # type: ignore[misc]
            r"^sigma must be in \[0, inf\), got ",
        )
        for bad in (-1.0, math.nan, "1", None)
    },
    **{
        f"a batch of {bad!r}": (
            lambda bad=bad: noisy(bowl(), 1.0, bad, rng()),  # type: ignore[misc]
            r"^batch must be an int >= 1, got ",
        )
        for bad in (0, -1, 1.5, 2.0, True, math.nan, "1", None)
    },
    **{
        f"reddi with c={bad!r}": (
            lambda bad=bad: reddi(bad),  # type: ignore[misc]
            r"^c must be in \(2, inf\), got ",
        )
        for bad in (2.0, 0.0, -3.0, math.nan, "3", None)
    },
    **{
        f"a bowl in {bad!r} dimensions": (
            lambda bad=bad: bowl(bad),  # type: ignore[misc]
            r"^n must be an int >= 1, got ",
        )
        for bad in (0, -1, 1.5, True, None, "2")
    },
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
