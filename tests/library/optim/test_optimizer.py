"""The optimizer: rules lifted to named parameters, one minus sign, nothing in place."""

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

from deepopt_lib.core import Grads, Params, Rule, clip_by_global_norm, global_norm
from deepopt_lib.optim import (
    AdaGrad,
    Adam,
    GradientDescent,
    Lion,
    MatrixOr,
    Momentum,
    Optimizer,
    OptimizerState,
    Orthogonalize,
    RMSprop,
    WeightDecay,
    adagrad,
    adam,
    adamw,
    chain,
    constant,
    cosine,
    lion,
    momentum,
    muon,
    rmsprop,
    sgd,
)

LR = 0.1
RECIPES: dict[str, tuple[Optimizer, Rule]] = {
    "sgd": (sgd(LR), GradientDescent()),
    "momentum": (momentum(LR), Momentum(0.9)),
    "momentum with mu": (momentum(LR, 0.7), Momentum(mu=0.7)),
    "adagrad": (adagrad(LR), AdaGrad(eps=1e-10)),
    "rmsprop": (rmsprop(LR), RMSprop(b2=0.99, eps=1e-8)),
    "adam": (adam(LR), Adam(b1=0.9, b2=0.999, eps=1e-8)),
    "adamw": (adamw(LR), chain(Adam(), WeightDecay(0.01))),
    "adamw with lam": (adamw(LR, 0.3), chain(Adam(), WeightDecay(0.3))),
    "lion": (lion(LR), chain(Lion(b1=0.9, b2=0.99), WeightDecay(0.0))),
    "lion with lam": (lion(LR, 0.3), chain(Lion(), WeightDecay(0.3))),
    "muon": (
        muon(LR),
        MatrixOr(
            chain(Momentum(0.95, nesterov=True, ema=True), Orthogonalize(steps=5)),
            Adam(),
        ),
    ),
}
every_recipe = pytest.mark.parametrize("name", RECIPES)


def start() -> Params:
    rng = np.random.default_rng(0)
    return {
        "layer1.W": rng.standard_normal((4, 3)),
        "layer1.b": rng.standard_normal(3),
        "scale": np.array(1.5),
    }


def gradients(t: int, params: Params) -> Grads:
    rng = np.random.default_rng(t)
    return {k: np.asarray(w + rng.standard_normal(w.shape)) for k, w in params.items()}


def run(optimizer: Optimizer, steps: int) -> tuple[Params, OptimizerState]:
    params = start()
    state = optimizer.init(params)
    for t in range(1, steps + 1):
        params, state = optimizer.step(gradients(t, params), state, params)
    return params, state


def equal(a: Params, b: Params) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@every_recipe
def test_recipe_is_its_rule(name: str) -> None:
    optimizer, rule = RECIPES[name]
    assert optimizer == Optimizer(rule, LR)
    assert optimizer.rule == rule
    assert optimizer.lr == LR


@every_recipe
def test_recipe_takes_a_schedule(name: str) -> None:
    make = {"sgd": sgd, "momentum": momentum, "adagrad": adagrad, "rmsprop": rmsprop}
    make |= {"adam": adam, "adamw": adamw, "lion": lion, "muon": muon}
    recipe: Any = make[name.split()[0]]
    fixed, _ = run(recipe(LR), 3)
    scheduled, _ = run(recipe(constant(LR)), 3)
    assert equal(fixed, scheduled)


@every_recipe
def test_step_is_w_minus_lr_times_u(name: str) -> None:
    """The whole optimizer, written out for one parameter at a time."""
    optimizer, rule = RECIPES[name]
    params, state = run(optimizer, 5)
    ws, states = start(), {k: rule.init(w) for k, w in start().items()}
    for t in range(1, 6):
        grads = gradients(t, ws)
        for k in ws:
            u, states[k] = rule.update(grads[k], states[k], ws[k], t)
            ws[k] = np.asarray(ws[k] - LR * u)
    assert equal(params, ws)
    assert state.t == 5
    assert list(params) == list(start())


@every_recipe
def test_an_old_state_can_be_stepped_again(name: str) -> None:
    """Steps leave every array that they are given as it was, bit for bit."""
    optimizer, _ = RECIPES[name]
    params, state = run(optimizer, 3)
    grads = gradients(4, params)
    before = copy.deepcopy((grads, state, params))
    first = optimizer.step(grads, state, params)
    optimizer.step(gradients(5, first[0]), first[1], first[0])
    assert repr(before) == repr((grads, state, params))
    again = optimizer.step(grads, state, params)
    assert equal(first[0], again[0])
    assert repr(first[1]) == repr(again[1])
    assert first[0] is not params
    assert first[1].rules is not state.rules


@every_recipe
def test_saved_and_loaded_it_goes_on_as_if_nothing_happened(name: str) -> None:
    optimizer, _ = RECIPES[name]
    whole, _ = run(optimizer, 6)
    params, state = pickle.loads(pickle.dumps(run(optimizer, 3)))
    for t in range(4, 7):
        params, state = optimizer.step(gradients(t, params), state, params)
    assert equal(whole, params)


def test_init_counts_from_zero_and_has_a_state_for_each_name() -> None:
    state = adam(LR).init(start())
    assert state.t == 0
    assert list(state.rules) == list(start())


def test_schedule_is_asked_once_a_step_from_one() -> None:
    asked = []

    def schedule(t: int) -> float:
        asked.append(t)
        return 0.1 / t

    optimizer = sgd(schedule)
    params: Params = {"a": np.zeros(2), "b": np.zeros(1)}
    state = optimizer.init(params)
    for _ in range(4):
        grads: Grads = {"a": np.ones(2), "b": np.ones(1)}
        params, state = optimizer.step(grads, state, params)
    assert asked == [1, 2, 3, 4]
    assert params["a"][0] == pytest.approx(
        -0.1 * (1 + 1 / 2 + 1 / 3 + 1 / 4), rel=1e-14
    )


def test_rules_are_told_the_step_from_one() -> None:
    """Adam's first corrected step is the sign; counted from 0 it would divide by 0."""
    params: Params = {"w": np.array([1.0, -1.0])}
    optimizer = adam(LR)
    after, _ = optimizer.step(
        {"w": np.array([5.0, -0.2])}, optimizer.init(params), params
    )
    np.testing.assert_allclose(after["w"], [0.9, -0.9], rtol=1e-6)


def test_lr_at_gives_the_rate_of_a_step() -> None:
    assert sgd(0.3).lr_at(7) == 0.3
    schedule = cosine(0.3, 10)
    assert sgd(schedule).lr_at(7) == schedule(7)
    assert type(sgd(1).lr_at(1)) is float
    assert type(sgd(lambda t: np.float64(0.5)).lr_at(1)) is float


def test_a_rate_of_zero_moves_nothing() -> None:
    for optimizer in (sgd(0.0), adamw(0), lion(lambda t: 0.0)):
        params, _ = run(optimizer, 3)
        assert equal(params, start())


def test_the_step_goes_downhill() -> None:
    params: Params = {"w": np.array([2.0])}
    after, _ = sgd(0.25).step({"w": np.array([4.0])}, sgd(0.25).init(params), params)
    assert after["w"][0] == 1.0


def test_policy_by_name() -> None:
    """A rule for each parameter, chosen by a dict comprehension over its shape."""
    orthogonal = chain(Momentum(0.95, nesterov=True, ema=True), Orthogonalize())
    policy: dict[str, Rule] = {
        k: orthogonal if w.ndim == 2 else Adam() for k, w in start().items()
    }
    by_policy, state = run(Optimizer(policy, LR), 4)
    by_muon, _ = run(muon(LR), 4)
    assert equal(by_policy, by_muon)
    assert isinstance(state.rules["layer1.W"], tuple)


def test_policy_may_freeze_nothing_and_decay_matrices_only() -> None:
    decay = chain(Adam(), WeightDecay(0.5))
    policy: dict[str, Rule] = {
        k: decay if w.ndim == 2 else Adam() for k, w in start().items()
    }
    mixed, _ = run(Optimizer(policy, LR), 3)
    plain, _ = run(adam(LR), 3)
    decayed, _ = run(adamw(LR, 0.5), 3)
    np.testing.assert_array_equal(mixed["layer1.W"], decayed["layer1.W"])
    np.testing.assert_array_equal(mixed["layer1.b"], plain["layer1.b"])
    assert not np.array_equal(decayed["layer1.b"], plain["layer1.b"])


def test_the_order_of_names_does_not_matter() -> None:
    params = start()
    policy: dict[str, Rule] = {"scale": Lion(), "layer1.b": Adam(), "layer1.W": Adam()}
    optimizer = Optimizer(policy, LR)
    state = optimizer.init(params)
    grads = gradients(1, params)
    backwards = dict(reversed(grads.items()))
    a, _ = optimizer.step(grads, state, params)
    b, _ = optimizer.step(backwards, state, params)
    assert equal(a, b)
    assert list(a) == list(b) == list(params)


def test_clipping_is_a_line_before_the_step() -> None:
    params = start()
    optimizer = sgd(1.0)
    grads = {k: 100.0 * g for k, g in gradients(1, params).items()}
    clipped, norm = clip_by_global_norm(grads, 0.5)
    after, _ = optimizer.step(clipped, optimizer.init(params), params)
    assert norm == pytest.approx(global_norm(grads), rel=1e-15)
    moved: Params = {k: np.asarray(after[k] - params[k]) for k in params}
    assert global_norm(moved) == pytest.approx(0.5, rel=1e-12)


@every_recipe
@pytest.mark.parametrize("lr", [0.1, np.float64(0.1), lambda t: np.float64(0.1)])
def test_float32_stays_float32(name: str, lr: Any) -> None:
    optimizer = dataclasses.replace(RECIPES[name][0], lr=lr)
    params = {k: w.astype(np.float32) for k, w in start().items()}
    state = optimizer.init(params)
    for t in range(1, 4):
        grads = {k: g.astype(np.float32) for k, g in gradients(t, params).items()}
        params, state = optimizer.step(grads, state, params)
    assert {w.dtype for w in params.values()} == {np.dtype(np.float32)}


@every_recipe
def test_memory_layout_does_not_matter(name: str) -> None:
    optimizer, _ = RECIPES[name]
    w = np.random.default_rng(1).standard_normal((4, 3))
    results = []
    for layout in (w, np.asfortranarray(w), np.repeat(w, 2, axis=1)[:, ::2]):
        params: Params = {"w": layout}
        after, _ = optimizer.step({"w": layout}, optimizer.init(params), params)
        results.append(after["w"])
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], rtol=1e-13)


def test_a_single_number_can_be_trained() -> None:
    params: Params = {"w": np.array(3.0)}
    optimizer = momentum(0.1)
    state = optimizer.init(params)
    for _ in range(300):
        params, state = optimizer.step({"w": params["w"]}, state, params)
    assert params["w"].shape == ()
    assert abs(float(params["w"])) < 1e-5


def test_is_frozen_and_comparable() -> None:
    optimizer: Any = adam(LR)
    with pytest.raises(dataclasses.FrozenInstanceError):
        optimizer.lr = 0.2
    assert optimizer == adam(LR)
    assert optimizer != adam(0.2)
    assert optimizer != sgd(LR)
    assert dataclasses.replace(optimizer, lr=0.2) == adam(0.2)
    assert repr(optimizer) == (
        "Optimizer(rule=Adam(b1=0.9, b2=0.999, eps=1e-08), lr=0.1)"
    )
