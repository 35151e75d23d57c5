"""Hypergradient and line search against their equations, one number at a time."""

import copy
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from deepopt_lib import training
from deepopt_lib.core import Params
from deepopt_lib.optim import (
    Adam,
    Armijo,
    GradientDescent,
    Hypergradient,
    HyperState,
    Momentum,
    Optimizer,
)

NAN, INF = math.nan, math.inf


def test_a_state_of_another_shape_is_refused() -> None:
    method = Hypergradient(0.1, 0.02, Momentum())
    w: Params = {"w": np.ones((2, 3))}
    state = method.init({"w": np.ones(3)})
    with pytest.raises(ValueError, match=r"state\.rules\['w'\] must be float64"):
        method.step(w, state, w)


def test_hypergradient_is_the_equation() -> None:
    """lr grows by beta times the product of this gradient and the last direction."""
    method = Hypergradient(0.1, 0.02)
    params: Params = {"a": np.array([1.0, -2.0]), "b": np.array([0.5])}
    state = method.init(params)
    w, lr, before = [1.0, -2.0, 0.5], 0.1, None
    curvature = [1.0, 0.3, 2.0]
    for _ in range(15):
        g = [c * x for c, x in zip(curvature, w, strict=True)]
        if before is not None:
            lr += 0.02 * sum(a * b for a, b in zip(g, before, strict=True))
        w = [x - lr * d for x, d in zip(w, g, strict=True)]
        before = g
        grads = {
            "a": np.array([1.0, 0.3]) * params["a"],
            "b": 2.0 * params["b"],
        }
        params, state = method.step(grads, state, params)
        assert state.lr == pytest.approx(lr, rel=1e-12)
        np.testing.assert_allclose([*params["a"], *params["b"]], w, rtol=1e-12)
    assert state.t == 15


def test_hypergradient_is_the_derivative_in_the_last_rate() -> None:
    """beta * (g @ u) is minus beta times a finite difference of the loss in lr."""
    problem = training.rosenbrock()
    lr, beta, h = 1e-3, 1e-6, 1e-7
    method = Hypergradient(lr, beta)
    start: Params = {"w": problem.x0}
    one, state = method.step({"w": problem.grad(problem.x0)}, method.init(start), start)
    _, state = method.step({"w": problem.grad(one["w"])}, state, one)
    u = problem.grad(problem.x0)
    up, down = (problem.f(problem.x0 - (lr + s * h) * u) for s in (1, -1))
    assert (state.lr - lr) / beta == pytest.approx(-(up - down) / (2 * h), rel=1e-5)


def test_relative_form_sees_the_angle_alone() -> None:
    method = Hypergradient(0.1, 0.25, relative=True)
    params: Params = {"w": np.zeros(2)}
    for g, cosine in [([0.0, 7.0], 0.0), ([9.0, 0.0], 1.0), ([-0.1, 0.0], -1.0)]:
        new, state = method.step(
            {"w": np.array([2.0, 0.0])}, method.init(params), params
        )
        _, state = method.step({"w": np.array(g)}, state, new)
        assert state.lr == pytest.approx(0.1 * (1 + 0.25 * cosine), rel=1e-12)
    _, state = method.step({"w": np.zeros(2)}, state, new)
    assert state.lr == pytest.approx(0.075)  # no gradient, no angle


def test_first_step_and_tiny_beta_are_the_rule_alone() -> None:
    rule = Adam()
    plain, hyper = Optimizer(rule, 0.05), Hypergradient(0.05, 1e-300, rule)
    a: Params = {"w": np.array([1.0, -3.0])}
    b = dict(a)
    s, h = plain.init(a), hyper.init(b)
    for t in range(1, 8):
        g = {"w": np.array([t, -1.0 / t])}
        a, s = plain.step(g, s, a)
        b, h = hyper.step(g, h, b)
        np.testing.assert_array_equal(a["w"], b["w"])


def test_hypergradient_finds_a_rate_from_far_below() -> None:
    problem = training.quadratic([1.0, 1.0])
    method = Hypergradient(1e-4, 0.1)
    params: Params = {"w": problem.x0}
    state = method.init(params)
    for _ in range(60):
        params, state = method.step({"w": problem.grad(params["w"])}, state, params)
    assert state.lr > 0.1
    assert problem.f(params["w"]) < 1e-6
    assert problem.f((1 - 1e-4) ** 60 * problem.x0) > 0.9  # the fixed rate


def quadratic(curvature: float) -> tuple[Callable[[Params], float], Params, Params]:
    params: Params = {"w": np.array([2.0])}
    grads: Params = {"w": curvature * params["w"]}
    return lambda p: curvature / 2 * float(p["w"] @ p["w"]), params, grads


@pytest.mark.parametrize("c", [0.01, 0.3, 0.7])
@pytest.mark.parametrize("curvature", [0.05, 1.0, 40.0])
def test_armijo_takes_the_first_rate_that_meets_the_condition(
    c: float, curvature: float
) -> None:
    """On a parabola the condition is lr <= 2*(1-c)/curvature."""
    f, params, grads = quadratic(curvature)
    search = Armijo(c=c, shrink=0.6, grow=2.0, largest=50.0)
    new, lr, tries = search.step(f, grads, 10.0, params)
    limit = 2 * (1 - c) / curvature
    wanted = [20.0 * 0.6**k for k in range(60)]
    first = next(k for k, rate in enumerate(wanted) if rate <= limit)
    assert tries == first + 1
    assert lr == pytest.approx(wanted[first])
    np.testing.assert_allclose(new["w"], params["w"] - lr * grads["w"], rtol=1e-15)
    assert params["w"][0] == 2.0


def test_armijo_starts_below_the_largest_and_counts_its_calls() -> None:
    f, params, grads = quadratic(0.01)
    calls = []
    _, lr, tries = Armijo(largest=3.0).step(
        lambda p: calls.append(1) or f(p),  # type: ignore[func-returns-value]
        grads,
        100.0,
        params,
    )
    assert (lr, tries, len(calls)) == (3.0, 1, 2)


def test_armijo_is_content_with_what_was_asked() -> None:
    """The loss falls by exactly c times the promise: one try."""
    one: Params = {"w": np.array([1.0])}
    search = Armijo(c=0.5, grow=1.0, largest=0.5)
    _, lr, tries = search.step(lambda p: 0.5 * float(p["w"][0]), one, 0.25, one)
    assert (lr, tries) == (0.25, 1)


def test_armijos_usual_numbers() -> None:
    expected = "Armijo(c=0.1, shrink=0.7, grow=1.5, largest=100.0, most=60)"
    assert repr(Armijo()) == expected


def test_armijo_stays_where_nothing_is_gained() -> None:
    """Uphill: after ``most`` tries the parameters are what they were."""
    f, params, grads = quadratic(1.0)
    uphill: Params = {"w": -grads["w"]}
    new, lr, tries = Armijo(most=5, shrink=0.5, grow=1.0).step(f, uphill, 1.0, params)
    np.testing.assert_array_equal(new["w"], params["w"])
    assert (lr, tries) == (1 / 32, 5)


def test_armijo_backs_off_from_nan_and_keeps_float32() -> None:
    params: Params = {"w": np.array([1.0], np.float32)}
    new, lr, _ = Armijo().step(
        lambda p: float(p["w"][0]) if p["w"][0] > 0 else NAN,
        {"w": np.array([1.0], np.float32)},
        np.float64(8.0),
        params,
    )
    assert 0 < lr < 1
    assert new["w"].dtype == np.float32


ONE: Params = {"w": np.ones(2)}
BAD: dict[str, tuple[Callable[[], Any], str]] = {
    **{
        f"Hypergradient {name}={bad!r}": (
            lambda name=name, bad=bad: Hypergradient(
                **{"lr": 0.1, "beta": 0.1, name: bad}
            ),  # type: ignore[misc]
            f"Hypergradient.{name} must be in (0, inf), got {bad!r}",
        )
        for name in ("lr", "beta")
        for bad in [0, -1.0, NAN, INF, None, "1", True, [1.0]]
    },
    "relative beta of one": (
        lambda: Hypergradient(0.1, 1.0, relative=True),
        "Hypergradient.beta must be in (0, 1), got 1.0",
    ),
    "relative": (
        lambda: Hypergradient(0.1, 0.1, relative=1),  # type: ignore[arg-type]
        "Hypergradient.relative must be True or False, got 1",
    ),
    "rule": (
        lambda: Hypergradient(0.1, 0.1, GradientDescent),  # type: ignore[arg-type]
        "Hypergradient.rule is not a rule, got <class",
    ),
    **{
        f"Armijo {name}={bad!r}": (
            lambda name=name, bad=bad: Armijo(**{name: bad}),  # type: ignore[misc]
            f"Armijo.{name} must be in (0, 1), got {bad!r}",
        )
        for name in ("c", "shrink")
        for bad in [0, 1, -0.1, NAN, None, True]
    },
    **{
        f"Armijo grow={bad!r}": (
            lambda bad=bad: Armijo(grow=bad),  # type: ignore[misc]
            f"Armijo.grow must be in [1, inf), got {bad!r}",
        )
        for bad in [0.9, NAN, INF, None]
    },
    **{
        f"Armijo most={bad!r}": (
            lambda bad=bad: Armijo(most=bad),  # type: ignore[misc]
            f"Armijo.most must be an int >= 1, got {bad!r}",
        )
        for bad in [0, 2.0, True, None]
    },
    "Armijo largest": (
        lambda: Armijo(largest=0.0),
        "Armijo.largest must be in (0, inf), got 0.0",
    ),
    **{
        f"search from {bad!r}": (
            lambda bad=bad: Armijo().step(lambda p: 0.0, ONE, bad, ONE),  # type: ignore[misc]
            f"lr must be in (0, inf), got {bad!r}",
        )
        for bad in [0.0, -1.0, NAN, INF, None]
    },
    "search where the loss is NaN": (
        lambda: Armijo().step(lambda p: NAN, ONE, 1.0, ONE),
        "the loss at params is nan",
    ),
    "search without params": (
        lambda: Armijo().step(lambda p: 0.0, {}, 1.0, {}),
        "params must be a dict with an array or more, got {}",
    ),
    "search with another name": (
        lambda: Armijo().step(lambda p: 0.0, {"v": np.ones(2)}, 1.0, ONE),
        "grads does not fit params: names differ: missing ['w'], unexpected ['v']",
    ),
    "a step of hypergradient with the state of another name": (
        lambda: Hypergradient(0.1, 0.1).step(ONE, HyperState(0, 0.1, {}, {}), ONE),
        "state.rules does not fit params: names differ: missing ['w'], unexpected []",
    ),
    "a step of hypergradient without params": (
        lambda: Hypergradient(0.1, 0.1).step({}, HyperState(0, 0.1, {}, {}), {}),
        "params must be a dict with an array or more, got {}",
    ),
    "hypergradient of nothing": (
        lambda: Hypergradient(0.1, 0.1).init({}),
        "params must be a dict with an array or more, got {}",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_message(case: str) -> None:
    call, message = BAD[case]
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        call()


def test_nothing_changes_before_the_exception() -> None:
    method = Hypergradient(0.1, 0.1)
    params: Params = {"a": np.ones(2), "z": np.ones(3)}
    state = method.init(params)
    before = copy.deepcopy((params, state))
    with pytest.raises(ValueError, match=r"^grads\['z'\] must be"):
        method.step({"a": np.ones(2), "z": np.ones(2)}, state, params)
    assert repr(before) == repr((params, state))
