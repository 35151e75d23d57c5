"""Counting: matrix products by their shapes, everything else by its entries."""

from typing import Any

import numpy as np
import pytest

from deepopt_lib import losses, nn, optimizer
from deepopt_lib.autodiff import value_and_grad
from deepopt_lib.cost import Cost, Counted, count
from deepopt_lib.types import Array, Params

RNG = np.random.default_rng(0)


def loss(params: Params, x: Array, y: Any) -> Any:
    return losses.cross_entropy(nn.mlp(params, x), y)


def test_a_product_costs_two_flops_per_multiply_add() -> None:
    a, b = RNG.random((3, 5)), RNG.random((5, 7))
    result, cost = count(lambda a, b: a @ b, a, b)
    assert type(result) is np.ndarray
    assert np.array_equal(result, a @ b)
    assert cost == Cost(products=2 * 3 * 5 * 7, bytes=8 * (15 + 35 + 21))
    assert cost.flops == 210
    assert cost.intensity == 210 / 568


@pytest.mark.parametrize(
    ("f", "flops", "arrays"),
    [
        (lambda a: a + 1.0, 12, 12 + 1 + 12),
        (lambda a: np.exp(a), 12, 24),
        (lambda a: np.sum(a), 12, 12 + 1),
        (lambda a: np.sum(a, axis=0), 12, 12 + 4),
        (lambda a: a + a[0], 12, 12 + 4 + 12),
        (lambda a: a[1:], 0, 0),
        (lambda a: a.T, 0, 0),
    ],
)
def test_everything_else_costs_one_flop_per_entry(
    f: Any, flops: int, arrays: int
) -> None:
    a = RNG.random((3, 4))
    result, cost = count(f, a)
    assert np.array_equal(result, f(a))
    assert cost == Cost(elementwise=flops, bytes=8 * arrays)


def test_in_place_operations_count_and_still_work() -> None:
    def add_in_place(a: Array, b: Array) -> Array:
        a += b
        return a

    a, b = np.ones((2, 3)), np.ones(3)
    result, cost = count(add_in_place, a, b)
    assert np.array_equal(result, np.full((2, 3), 2.0))
    assert cost.elementwise == 6


def test_a_training_step_costs_what_the_shapes_say() -> None:
    params = nn.init_mlp(RNG, [6, 5, 4])
    x, y = RNG.random((7, 6)), RNG.integers(0, 4, 7)
    _, forward = count(loss, params, x, y)
    (value, grads), both = count(value_and_grad(loss), params, x, y)
    assert forward.products == 2 * 7 * (30 + 20)
    assert (both - forward).products == 2 * 7 * (30 + 20 + 20)  # not the input's
    plain, expected = value_and_grad(loss)(params, x, y)
    assert value == plain
    for name, g in expected.items():
        assert np.array_equal(grads[name], g)


def test_an_optimizer_step_is_counted_through_its_state() -> None:
    params = nn.init_mlp(RNG, [6, 5, 4])
    method = optimizer.momentum(0.1)
    args = (params, method.init(params), params)
    (new, state), cost = count(method.step, *args)
    expected, _ = method.step(*args)
    size = sum(w.size for w in params.values())
    assert cost.products == 0
    assert cost.elementwise == 4 * size  # mu*v, + g, lr*u, w - ...
    assert all(type(v) is np.ndarray for v in state.rules.values())
    assert np.array_equal(new["layer1.W"], expected["layer1.W"])


def test_counts_do_not_leak() -> None:
    a = RNG.random(3)

    def nested(a: Array) -> Array:
        count(lambda b: b * b, a)
        return a + a

    _, cost = count(nested, a)
    assert cost.elementwise == 3
    with pytest.raises(ZeroDivisionError):
        count(lambda a: a * (1 // 0), a)
    assert Counted.bill == Cost()
