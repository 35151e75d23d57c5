"""Costs: counted operations and bytes against those counted by hand."""

from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from deepopt_lib.autodiff import cross_entropy, value_and_grad
from deepopt_lib.autodiff import sum as tape_sum
from deepopt_lib.book.cost import Cost, Counted, count
from deepopt_lib.core import Array, Params
from deepopt_lib.nn import (
    attention,
    conv_net,
    init_attention,
    init_conv_net,
    init_mlp,
    mlp,
)
from deepopt_lib.optim import Optimizer, adam, momentum, sgd

SIZES, BATCH = [4, 5, 3], 6
PARAMETERS = 4 * 5 + 5 + 5 * 3 + 3


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_product_is_two_flops_per_multiply_add() -> None:
    a, b = np.ones((2, 3)), np.ones((3, 5))
    result, cost = count(lambda a, b: a @ b, a, b)
    np.testing.assert_array_equal(result, a @ b)
    assert cost == Cost(products=2 * 2 * 3 * 5, bytes=8 * (6 + 15 + 10))
    assert cost.flops == 60
    assert cost.intensity == 60 / 248


def test_a_stack_of_products() -> None:
    _, cost = count(np.matmul, np.ones((7, 2, 3)), np.ones((7, 3, 5)))
    assert cost.products == 7 * 60


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_other_operations_are_one_flop_an_entry(dtype: type) -> None:
    x: Array = np.ones((4, 3), dtype)
    size = x.itemsize
    result, cost = count(lambda x: x * x + 1, x)
    assert result.dtype == dtype
    assert cost.elementwise == 24
    assert cost.products == 0
    assert cost.bytes == size * (3 * 12) + size * (2 * 12) + 8  # the 1 is 8 bytes
    _, cost = count(np.exp, x)
    assert cost == Cost(elementwise=12, bytes=size * 24)
    _, cost = count(lambda x: np.sum(x, axis=0), x)
    assert cost == Cost(elementwise=12, bytes=size * 15)


def test_broadcasting_costs_the_larger_size() -> None:
    _, cost = count(lambda x, b: x + b, np.ones((4, 3)), np.ones(3))
    assert cost == Cost(elementwise=12, bytes=8 * (12 + 3 + 12))


def test_what_is_no_ufunc_is_free() -> None:
    _, cost = count(lambda x: x[1:].reshape(-1).T, np.ones((4, 3)))
    assert cost == Cost()


def test_costs_add_and_subtract() -> None:
    a, b = Cost(1, 2, 3), Cost(10, 20, 30)
    assert a + b == Cost(11, 22, 33)
    assert b - a == Cost(9, 18, 27)
    assert b.flops == 30
    assert b.intensity == 1.0
    with pytest.raises(FrozenInstanceError):
        a.products = 5  # type: ignore[misc]


def test_tuples_and_dicts_go_through() -> None:
    def f(pair: Any, more: Any) -> Any:
        return (pair[0] * 2, {"b": pair[1] * more["a"]}, "text")

    result, cost = count(f, (np.ones(2), np.ones(3)), {"a": np.ones(3)})
    assert type(result) is tuple
    assert type(result[1]["b"]) is np.ndarray
    assert result[2] == "text"
    assert cost.elementwise == 5


def test_results_are_plain_and_arguments_untouched() -> None:
    params: Params = init_mlp(rng(), SIZES)
    state = adam(0.1).init(params)
    (after, new_state), _ = count(adam(0.1).step, params, state, params)
    assert type(after["layer1.W"]) is np.ndarray
    assert type(new_state.rules["layer1.W"].m) is np.ndarray
    assert type(params["layer1.W"]) is np.ndarray
    expected, _ = adam(0.1).step(params, state, params)
    for k, w in after.items():
        np.testing.assert_array_equal(w, expected[k])


def test_operations_in_place_count_and_work() -> None:
    def f(x: Any) -> Any:
        x = x * 2
        x += 1.0
        return x

    result, cost = count(f, np.ones(5))
    np.testing.assert_array_equal(result, np.full(5, 3.0))
    assert cost.elementwise == 10


def test_a_mask_that_is_counted_itself_does_not_recurse() -> None:
    x: Array = np.array([1.0, -2.0, 3.0])
    result, cost = count(lambda x: np.sum(x, where=x > 0), x)
    assert result == 4.0
    assert cost.elementwise == 3 + 3
    assert cost.bytes == (24 + 8 + 3) + (24 + 3 + 8)  # x > 0, then the masked sum
    result, cost = count(lambda x: np.add(x, 1, out=np.zeros(3), where=x > 0), x)
    np.testing.assert_array_equal(result, [2.0, 0.0, 4.0])
    assert cost.bytes == (24 + 8 + 3) + (24 + 8 + 3 + 24)


def test_several_results_and_none() -> None:
    x: Array = np.array([1.5, 2.5])
    (fraction, whole), cost = count(lambda x: np.modf(x), x)
    assert type(fraction) is type(whole) is np.ndarray
    np.testing.assert_array_equal(whole, [1.0, 2.0])
    assert cost == Cost(elementwise=2, bytes=3 * 16)
    _, cost = count(lambda x: np.modf(x)[0] * 2, x)
    assert cost.elementwise == 4  # what comes of a count is counted
    _, cost = count(lambda x: np.add.at(x, np.array([0]), 1.0), x.copy())
    assert cost == Cost(elementwise=2, bytes=16 + 8 + 8)


def test_every_kind_of_product() -> None:
    a, x, y = np.ones((2, 3)), np.ones(3), np.ones(2)
    for name, arguments, out in [
        ("vecdot", (x, x), 1),
        ("matvec", (a, x), 2),  # since NumPy 2.2
        ("vecmat", (y, a), 3),
    ]:
        if (f := getattr(np, name, None)) is None:
            continue
        result, cost = count(f, *arguments)
        assert np.size(result) == out
        assert cost.products == 12 // (2 if name == "vecdot" else 1)
        assert cost.elementwise == 0
        assert cost.bytes == 8 * (sum(v.size for v in arguments) + out)


def test_lists_go_through() -> None:
    result, cost = count(lambda some: [w * 2 for w in some], [np.ones(2), np.ones(3)])
    assert [type(w) for w in result] == [np.ndarray] * 2
    assert cost.elementwise == 5


def test_a_count_within_a_count_is_its_own() -> None:
    def f(x: Any) -> Any:
        y = x + 1
        _, inner = count(np.exp, np.ones(7))
        assert inner.elementwise == 7
        return y * 2

    _, cost = count(f, np.ones(3))
    assert cost.elementwise == 6


def test_each_count_starts_anew_and_an_error_ends_it() -> None:
    def fail(x: Any) -> Any:
        raise RuntimeError(f"after {np.sum(x * x)}")

    with pytest.raises(RuntimeError, match="after"):
        count(fail, np.ones(3))
    assert Counted.bill == Cost()
    first = count(np.exp, np.ones(3))[1]
    assert count(np.exp, np.ones(3))[1] == first


def loss(params: Any, x: Any, y: Any) -> Any:
    return cross_entropy(mlp(params, x), y)


def image_loss(params: Any, x: Any, y: Any) -> Any:
    return cross_entropy(conv_net(params, x), y)


def attention_loss(params: Any, x: Any) -> Any:
    return tape_sum(attention(params, x, heads=2))


def test_products_of_a_network_by_hand() -> None:
    """Forward one product a layer; backward two, but none for the data's gradient."""
    params, x, y = init_mlp(rng(), SIZES), np.ones((BATCH, 4)), np.zeros(BATCH, int)
    first, second = 2 * BATCH * 4 * 5, 2 * BATCH * 5 * 3
    _, forward = count(loss, params, x, y)
    assert forward.products == first + second
    (_, grads), both = count(value_and_grad(loss), params, x, y)
    assert both.products == 2 * first + 3 * second
    for k, g in value_and_grad(loss)(params, x, y)[1].items():
        assert type(grads[k]) is np.ndarray
        np.testing.assert_array_equal(grads[k], g)


def test_products_of_a_convolution_and_of_attention_by_hand() -> None:
    """Every product of the backward pass, also of arrays that a layer makes itself."""
    net = init_conv_net(rng(), (8, 8, 2), (3, 4), 5)
    x, y = rng().random((BATCH, 8, 8, 2)), np.zeros(BATCH, int)
    first, second = 2 * BATCH * 64 * (9 * 2) * 3, 2 * BATCH * 16 * (9 * 3) * 4
    out = 2 * BATCH * (4 * 4) * 5
    _, both = count(value_and_grad(image_loss), net, x, y)
    # No gradient by the images.
    assert both.products == 2 * first + 3 * second + 3 * out

    time, dim, heads = 4, 6, 2
    attention = init_attention(rng(), dim)
    x = rng().random((BATCH, time, dim))
    project, pairs = 2 * BATCH * time * dim * dim, 2 * BATCH * time * time * dim
    sums = 2 * BATCH * heads * time * time + 2 * BATCH * time * dim  # with ones
    forward = 4 * project + 2 * pairs
    backward = 8 * project - 3 * project + 4 * pairs  # no gradient by x
    _, both = count(value_and_grad(attention_loss), attention, x)
    assert both.products == forward + backward + sums


@pytest.mark.parametrize(
    ("optimizer", "flops"),
    [(sgd(0.1), 2), (momentum(0.1), 4), (adam(0.1), 14)],
    ids=str,
)
def test_an_optimizers_flops_per_parameter(optimizer: Optimizer, flops: int) -> None:
    """Counted by hand in the rules' equations, with the two of w - lr*u.

    The gradients come from the same count: they must not lose the bill on the way.
    """
    params, x, y = init_mlp(rng(), SIZES), np.ones((BATCH, 4)), np.zeros(BATCH, int)
    state = optimizer.init(params)
    gradient = value_and_grad(loss)

    def step(params: Any, state: Any, x: Any, y: Any) -> Any:
        _, grads = gradient(params, x, y)
        return optimizer.step(grads, state, params)

    _, whole = count(step, params, state, x, y)
    _, backward = count(gradient, params, x, y)
    assert whole - backward == Cost(0, flops * PARAMETERS, (whole - backward).bytes)
