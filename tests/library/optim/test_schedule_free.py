"""Schedule-Free against the paper's three sequences, written out."""

import dataclasses

import numpy as np
import pytest

from deepopt_lib import optim, training
from deepopt_lib.core import Params, Rule
from deepopt_lib.optim import (
    Adam,
    MatrixOr,
    Momentum,
    Optimizer,
    ScheduleFree,
    WeightDecay,
    adam,
    average,
    chain,
)


def slopes(t: int) -> float:
    """Return the gradient at step t, whatever the point: 3, -1, 2.5, ..."""
    return [3.0, -1.0, 2.5, 0.25, -4.0][t % 5]


@pytest.mark.parametrize("b1", [0.0, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("lr", [0.01, 0.7])
def test_is_the_three_sequences(b1: float, lr: float) -> None:
    """One number at a time; the gradient depends on y."""
    optimizer = Optimizer(ScheduleFree(b1), lr)
    params: Params = {"w": np.array([2.0])}
    state = optimizer.init(params)
    z = x = y = 2.0
    for t in range(1, 30):
        y = (1 - b1) * z + b1 * x
        np.testing.assert_allclose(params["w"], y, rtol=1e-12, atol=1e-13)
        params, state = optimizer.step(
            {"w": slopes(t) + 0.3 * params["w"]}, state, params
        )
        z = z - lr * (slopes(t) + 0.3 * y)
        x = (1 - 1 / t) * x + z / t
        found = average(params, state, optimizer)["w"]
        np.testing.assert_allclose(found, x, rtol=1e-12, atol=1e-13)


def test_without_b1_it_is_averaged_descent() -> None:
    """With b1 = 0 the gradient is taken at z: Polyak-Ruppert averaging."""
    problem = training.quadratic([1.0, 3.0])
    path = training.descend(problem, Optimizer(ScheduleFree(0.0), 0.1), 40)
    plain = [problem.x0]
    for _ in range(40):
        plain.append(plain[-1] - 0.1 * problem.grad(plain[-1]))
    np.testing.assert_allclose(path, plain, rtol=1e-12)


def test_first_step_is_the_base_methods() -> None:
    g, w = np.array([2.0, -1.0]), np.zeros(2)
    u, d = ScheduleFree(0.9).update(g, np.zeros(2), w, 1)
    np.testing.assert_allclose(u, g, rtol=1e-15)
    np.testing.assert_array_equal(d, 0.0)  # x = z


def test_follows_adam_and_decay_in_a_chain() -> None:
    """Schedule-Free AdamW: the base method's direction, with the decay at y."""
    rule = chain(Adam(b1=0.0, b2=0.9), WeightDecay(0.1), ScheduleFree(0.8))
    optimizer = Optimizer(rule, 0.05)
    params: Params = {"w": np.array([1.5])}
    state = optimizer.init(params)
    z = x = 1.5
    v = 0.0
    for t in range(1, 20):
        g, y = slopes(t), 0.2 * z + 0.8 * x
        v = 0.9 * v + 0.1 * g * g
        z -= 0.05 * (g / (np.sqrt(v / (1 - 0.9**t)) + 1e-8) + 0.1 * y)
        x = (1 - 1 / t) * x + z / t
        params, state = optimizer.step({"w": np.array([g])}, state, params)
        found = average(params, state, optimizer)["w"]
        np.testing.assert_allclose(found, x, rtol=1e-12)


def test_average_has_less_noise_than_the_iterate() -> None:
    problem = training.quadratic([1.0])
    optimizer = Optimizer(ScheduleFree(), 0.3)
    rng = np.random.default_rng(0)
    params: Params = {"w": problem.x0}
    state = optimizer.init(params)
    z = problem.x0
    noisy, smooth = [], []
    for _ in range(2000):
        g = problem.grad(params["w"]) + rng.standard_normal(1)
        params, state = optimizer.step({"w": g}, state, params)
        z = z - 0.3 * g
        noisy.append(z)
        smooth.append(average(params, state, optimizer)["w"])
    assert np.std(smooth[1000:]) < np.std(noisy[1000:]) / 5


def test_average_of_rules_by_name_and_by_shape() -> None:
    free = ScheduleFree()
    params: Params = {"W": np.ones((2, 2)), "b": np.ones(2)}
    grads: Params = {"W": np.full((2, 2), 2.0), "b": np.full(2, 3.0)}
    found = []
    by_name: dict[str, Rule] = {"W": free, "b": free}
    by_shape = MatrixOr(free, chain(Momentum(0.0), free))
    tried: list[Rule | dict[str, Rule]] = [free, by_name, by_shape]
    for rule in tried:
        optimizer = Optimizer(rule, 0.1)
        state, new = optimizer.init(params), params
        for _ in range(3):
            new, state = optimizer.step(grads, state, new)
        before = {k: w.copy() for k, w in new.items()}
        found.append(average(new, state, optimizer))
        for k, w in new.items():
            np.testing.assert_array_equal(w, before[k])
    for k in params:
        assert found[0][k].dtype == params[k].dtype
        np.testing.assert_allclose(found[1][k], found[0][k], rtol=1e-15)
        np.testing.assert_allclose(found[2][k], found[0][k], rtol=1e-15)


def test_average_keeps_float32() -> None:
    optimizer = Optimizer(ScheduleFree(), 0.1)
    params: Params = {"w": np.ones(3, np.float32), "c": np.array(1.0, np.float32)}
    state = optimizer.init(params)
    params, state = optimizer.step(params, state, params)
    for w in average(params, state, optimizer).values():
        assert isinstance(w, np.ndarray)
        assert w.dtype == np.float32


def test_bad_input() -> None:
    params: Params = {"w": np.ones(2)}
    free = Optimizer(ScheduleFree(), 0.1)
    state = free.init(params)
    moving = Optimizer(ScheduleFree(), optim.cosine(0.1, 10))
    with pytest.raises(ValueError, match=r"^ScheduleFree needs a constant lr, got"):
        average(params, state, moving)
    with pytest.raises(ValueError, match=r"^params\['v'\] has no state$"):
        average({"v": np.ones(2)}, state, free)
    other = adam(0.1)
    with pytest.raises(
        ValueError, match=r"^the rule of params\['w'\] must end in .* got Adam\("
    ):
        average(params, other.init(params), other)
    early = Optimizer(chain(ScheduleFree(), WeightDecay(0.1)), 0.1)
    with pytest.raises(ValueError, match="must end in ScheduleFree, got Weight"):
        average(params, early.init(params), early)
    with pytest.raises(ValueError, match=r"^ScheduleFree\.b1 must be in \[0, 1\)"):
        dataclasses.replace(ScheduleFree(), b1=1.0)


def test_module_offers_the_same_rule() -> None:
    assert optim.ScheduleFree is ScheduleFree
