"""The tape: every primitive against central differences, and what the tape promises."""

import gc
import inspect
import math
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from deepopt_lib import autodiff
from deepopt_lib.autodiff import (
    PRIMITIVES,
    Var,
    check_grads,
    primitive,
    value_and_grad,
)
from deepopt_lib.autodiff.ops import llama
from deepopt_lib.autodiff.ops.rotary import rotary_attention
from deepopt_lib.compress import sparse_linear, spread, to_format
from deepopt_lib.core import Array, Params
from tests.library.registry import modules

modules()  # everything registers
REGISTERED = sorted(PRIMITIVES)


def numbers(*shape: int, seed: int = 0) -> Array:
    """Normal numbers that keep a distance of 0.1 from zero, where relu has its kink."""
    x = np.random.default_rng(seed).standard_normal(shape)
    return np.asarray(x + 0.1 * np.sign(x))


def positive(*shape: int, seed: int = 0) -> Array:
    return np.asarray(np.abs(numbers(*shape, seed=seed)) + 0.3)


LABELS = np.array([2, 0, 1, 1, 2])
PLACES = np.array([[3, 0, 0], [1, 3, 0]])  # nobody has the value 2
PATTERN = to_format(np.array([[1, 0, 1], [0] * 3, [0, 1, 0], [1, 1, 0.0]]), "CSR")
Case = tuple[Callable[..., Any], tuple[Array, ...]]

BROADCASTS = [
    (numbers(3, 4), numbers(3, 4, seed=1)),
    (numbers(3, 4), numbers(4, seed=1)),
    (numbers(3, 1), numbers(1, 4, seed=1)),
    (numbers(4), numbers(2, 3, 4, seed=1)),
    (numbers(2, 1, 4), numbers(3, 1, seed=1)),
    (numbers(), numbers(3, seed=1)),
    (numbers(1), numbers(2, 3, seed=1)),
    (numbers(1, 3), numbers(2, 3, seed=1)),
    (numbers(2, 0), numbers(1, seed=1)),
]
SHAPES = [(), (4,), (2, 3), (2, 1, 3), (0, 2)]


def elementwise(op: Any, make: Callable[..., Array] = numbers) -> list[Case]:
    return [(op, (make(*shape),)) for shape in SHAPES]


def binary(op: Any) -> list[Case]:
    pairs = [(a, b) for a, b in BROADCASTS] + [(b, a) for a, b in BROADCASTS]
    with_numbers: list[Case] = [
        (lambda a: op(a, 2.5), (numbers(3),)),
        (lambda b: op(-1.5, b), (numbers(3),)),
    ]
    return [(op, pair) for pair in pairs] + with_numbers


def reduction(op: Any) -> list[Case]:
    x = numbers(2, 3, 4)
    axes = [None, 0, 1, -1, (0, 2), (1, -1), (0, 1, 2)]
    return [
        (op, (numbers(),)),
        (op, (numbers(5),)),
        (lambda a: op(a, axis=1), (numbers(0, 2),)),
        *[(lambda a, axis=axis: op(a, axis=axis), (x,)) for axis in axes],
    ]


def several(*shapes: tuple[int, ...]) -> tuple[Array, ...]:
    return tuple(numbers(*shape, seed=i) for i, shape in enumerate(shapes))


def pools(op: Any) -> list[Case]:
    return [
        (op, (numbers(2, 4, 6, 3),)),
        (op, (numbers(0, 2, 2, 1),)),
        *[(lambda x, s=size: op(x, size=s), (numbers(2, 6, 6, 2),)) for size in (1, 3)],
    ]


def with_large_scores(x: Any, W: Any, b: Any, Wo: Any, bo: Any) -> Any:
    """Scores near 800, where exp would overflow: queries and keys are near 20."""
    shift = np.repeat(np.array([20.0, 20.0, 0.0], getattr(b, "value", b).dtype), 4)
    return autodiff.self_attention(x, W, b + shift, Wo, bo, heads=2)


def generator() -> np.random.Generator:
    return np.random.default_rng(7)


SEQUENCES = [(2, 4, 3, 3), (1, 1, 2, 3), (3, 5, 1, 1), (0, 2, 2, 2), (2, 0, 2, 2)]

CASES: dict[str, list[Case]] = {
    "add": binary(autodiff.add),
    "sub": binary(autodiff.sub),
    "mul": binary(autodiff.mul),
    "div": binary(autodiff.div),
    "neg": elementwise(autodiff.neg),
    "power": [
        *[
            (lambda a, n=n: autodiff.power(a, n), (positive(2, 3),))
            for n in (2, 3, 0.5, -1, -0.5, 1, 0, 2.5)
        ],
        *[(lambda a, n=n: autodiff.power(a, n), (numbers(2, 3),)) for n in (2, 3, -1)],
    ],
    "exp": elementwise(autodiff.exp),
    "log": elementwise(autodiff.log, positive),
    "tanh": elementwise(autodiff.tanh),
    "sigmoid": elementwise(autodiff.sigmoid),
    "relu": elementwise(autodiff.relu),
    "matmul": [
        (autodiff.matmul, (numbers(3, 4), numbers(4, 2, seed=1))),
        (autodiff.matmul, (numbers(1, 4), numbers(4, 1, seed=1))),
        (autodiff.matmul, (numbers(2, 3, 4), numbers(2, 4, 5, seed=1))),
        (autodiff.matmul, (numbers(2, 2, 3, 4), numbers(2, 2, 4, 1, seed=1))),
    ],
    "linear": [
        (autodiff.linear, (numbers(5, 4), numbers(4, 3, seed=1), numbers(3, seed=2))),
        (autodiff.linear, (numbers(1, 2), numbers(2, 1, seed=1), numbers(1, seed=2))),
    ],
    "sum": reduction(autodiff.sum),
    "mean": reduction(autodiff.mean),
    "reshape": [
        (lambda a: autodiff.reshape(a, shape=(3, 4)), (numbers(2, 6),)),
        (lambda a: autodiff.reshape(a, shape=(-1,)), (numbers(2, 3),)),
        (lambda a: autodiff.reshape(a, shape=()), (numbers(1),)),
    ],
    "transpose": [
        (autodiff.transpose, (numbers(2, 3),)),
        (autodiff.transpose, (numbers(2, 3, 4),)),
        (lambda a: autodiff.transpose(a, axes=(1, 2, 0)), (numbers(2, 3, 4),)),
        (lambda a: autodiff.transpose(a, axes=(0, 2, 1)), (numbers(2, 3, 4),)),
    ],
    "take": [
        (lambda a, i=index: autodiff.take(a, i), (numbers(4, 3),))
        for index in (
            1,
            -1,
            (2, 1),
            slice(1, 3),
            slice(None, None, -2),
            (slice(None), 0),
            (slice(None), None, 1),
            ...,
            np.array([0, 2, 2, 0, 2]),
            np.array([[0, 1], [1, 1]]),
            (np.array([0, 3, 0]), np.array([1, 1, 1])),
            np.arange(12).reshape(4, 3) % 2 == 0,
        )
    ],
    "log_softmax": [
        (autodiff.log_softmax, (numbers(5),)),
        (autodiff.log_softmax, (numbers(2, 3),)),
        (autodiff.log_softmax, (30 * numbers(2, 2, 4),)),
    ],
    "cross_entropy": [
        (lambda z: autodiff.cross_entropy(z, LABELS), (numbers(5, 3),)),
        (lambda z: autodiff.cross_entropy(z, LABELS), (8 * numbers(5, 3, seed=1),)),
        (lambda z: autodiff.cross_entropy(z, [0]), (numbers(1, 2),)),
    ],
    "conv2d": [
        (autodiff.conv2d, several((2, 5, 6, 3), (3, 3, 3, 2), (2,))),
        (autodiff.conv2d, several((2, 5, 9, 1), (3, 3, 1, 2), (2,))),
        (autodiff.conv2d, several((1, 2, 3, 2), (2, 3, 2, 1), (1,))),
        (autodiff.conv2d, several((0, 3, 3, 1), (2, 2, 1, 2), (2,))),
        (
            lambda *a: autodiff.conv2d(*a, pad=1),
            several((2, 4, 3, 2), (3, 2, 2, 3), (3,)),
        ),
        (
            lambda *a: autodiff.conv2d(*a, pad=2),
            several((1, 2, 3, 1), (3, 3, 1, 2), (2,)),
        ),
        (
            lambda *a: autodiff.conv2d(*a, pad=0),
            several((2, 3, 4, 5), (1, 1, 5, 2), (2,)),
        ),
    ],
    "depthwise2d": [
        (autodiff.depthwise2d, several((2, 5, 6, 3), (3, 3, 3), (3,))),
        (autodiff.depthwise2d, several((0, 3, 3, 1), (2, 2, 1), (1,))),
        (autodiff.depthwise2d, several((2, 2, 3, 2), (2, 3, 2), (2,))),
        (
            lambda *a: autodiff.depthwise2d(*a, pad=1),
            several((2, 4, 3, 2), (3, 2, 2), (2,)),
        ),
        (
            lambda *a: autodiff.depthwise2d(*a, pad=2),
            several((1, 2, 3, 1), (3, 3, 1), (1,)),
        ),
    ],
    "conv_layer": [
        (autodiff.conv_layer, several((2, 6, 8, 1), (3, 3, 1, 2), (2,))),
        (autodiff.conv_layer, several((2, 5, 5, 3), (2, 2, 3, 2), (2,))),
        (autodiff.conv_layer, several((0, 3, 3, 1), (2, 2, 1, 2), (2,))),
        *[
            (
                lambda *a, pool=pool: autodiff.conv_layer(*a, pad=1, pool=pool),
                several((2, 6, 6, c), (3, 3, c, 2), (2,)),
            )
            for pool in (1, 2, 3)
            for c in (1, 5)
        ],
    ],
    "max_pool": pools(autodiff.max_pool),
    "avg_pool": pools(autodiff.avg_pool),
    "rnn_layer": [
        (autodiff.rnn_layer, several((b, t, n_in), (n_in, n), (n, n), (n,)))
        for b, t, n_in, n in SEQUENCES
    ],
    "lstm_layer": [
        (
            autodiff.lstm_layer,
            several((b, t, n_in), (n_in, 4 * n), (n, 4 * n), (4 * n,)),
        )
        for b, t, n_in, n in SEQUENCES
    ],
    "gru_layer": [
        (
            autodiff.gru_layer,
            several((b, t, n_in), (n_in, 3 * n), (n, 3 * n), (3 * n,), (n,)),
        )
        for b, t, n_in, n in SEQUENCES
    ],
    "self_attention": [
        (
            lambda *a, h=heads, c=causal: autodiff.self_attention(
                *a, heads=h, causal=c
            ),
            several((b, t, d), (d, 3 * d), (3 * d,), (d, d), (d,)),
        )
        for b, t, d, heads in [
            (2, 4, 4, 2),
            (1, 1, 2, 1),
            (3, 5, 3, 3),
            (0, 2, 2, 1),
            (2, 0, 2, 1),
        ]
        for causal in (False, True)
    ]
    + [(with_large_scores, several((2, 3, 4), (4, 12), (12,), (4, 4), (4,)))],
    "layer_norm": [
        (autodiff.layer_norm, several((2, 3, 4), (4,), (4,))),
        (autodiff.layer_norm, several((5,), (5,), (5,))),
        (autodiff.layer_norm, several((3, 1), (1,), (1,))),
        (lambda *a: autodiff.layer_norm(*a, eps=0.5), several((3, 4), (4,), (4,))),
    ],
    "rms_norm": [
        (llama.rms_norm, several((2, 3, 4), (4,))),
        (llama.rms_norm, several((5,), (5,))),
        (lambda *a: llama.rms_norm(*a, eps=0.5), several((3, 4), (4,))),
    ],
    "swiglu": [(llama.swiglu, several((2, 3, 8))), (llama.swiglu, several((2,)))],
    "rotary_attention": [
        (
            lambda z, h=heads, g=groups: rotary_attention(z, time=3, heads=h, groups=g),
            several((6, 4 * (heads + 2 * groups))),
        )
        for heads, groups in ((1, 1), (2, 2), (4, 2), (2, 1))
    ],
    "batch_norm": [
        (autodiff.batch_norm, several((5, 3), (3,), (3,))),
        (autodiff.batch_norm, several((2, 3, 2, 4), (4,), (4,))),
        (autodiff.batch_norm, several((1, 3), (3,), (3,))),
        (lambda *a: autodiff.batch_norm(*a, eps=0.5), several((3, 4), (4,), (4,))),
        (
            lambda *a: autodiff.batch_norm(*a, statistics=(numbers(4), positive(4))),
            several((2, 3, 4), (4,), (4,)),
        ),
    ],
    "embedding": [
        (lambda table, i=ids: autodiff.embedding(table, i), (numbers(5, 3),))
        for ids in ([1, 0, 1], [[4, 4, 4], [1, 0, 4]], 2, np.zeros((0, 2), int))
    ],
    "dropout": [
        (
            lambda x, p=rate: autodiff.dropout(x, rate=p, rng=generator()),
            (numbers(4, 5),),
        )
        for rate in (0.0, 0.3, 0.9)
    ]
    + [(lambda x: autodiff.dropout(x, rate=0.5, rng=None), (numbers(4, 5),))],
    "sparse_linear": [
        (
            lambda *a: sparse_linear(*a, pattern=PATTERN),
            several((batch, 4), (5,), (3,)),
        )
        for batch in (5, 1)
    ],
    "spread": [
        (lambda v, s=signs: spread(v, places=PLACES, signs=s), (numbers(4),))
        for signs in (1.0, -0.5, numbers(2, 3, seed=1))
    ],
}

EVERY_CASE = [
    pytest.param(*case, id=f"{name}-{i}")
    for name in CASES
    for i, case in enumerate(CASES[name])
]


@pytest.mark.parametrize("name", REGISTERED)
def test_primitive_has_a_gradient_check(name: str) -> None:
    assert CASES.get(name), f"add gradient checks of {name!r} to CASES"


def test_no_check_of_what_does_not_exist() -> None:
    assert sorted(CASES) == REGISTERED


@pytest.mark.parametrize(("f", "args"), EVERY_CASE)
def test_gradient_is_the_central_difference(
    f: Callable[..., Any], args: tuple[Array, ...]
) -> None:
    check_grads(f, *args, tol=1e-6)


@pytest.mark.parametrize(("f", "args"), EVERY_CASE)
def test_recorded_value_is_the_plain_value(
    f: Callable[..., Any], args: tuple[Array, ...]
) -> None:
    """Without a recorded argument a primitive is NumPy; with one, the same numbers."""
    for a in args:
        a.setflags(write=False)
    plain = f(*args)
    assert not isinstance(plain, Var)
    for recorded in range(len(args)):
        mixed = [Var(a, []) if i == recorded else a for i, a in enumerate(args)]
        out = f(*mixed)
        assert isinstance(out, Var)
        np.testing.assert_array_equal(out.value, plain)
        assert out.shape == np.shape(plain)


@pytest.mark.parametrize(("f", "args"), EVERY_CASE)
def test_float32_gradients_stay_float32(
    f: Callable[..., Any], args: tuple[Array, ...]
) -> None:
    params = {str(i): a.astype(np.float32) for i, a in enumerate(args)}
    _, grads = value_and_grad(lambda p: autodiff.sum(f(*p.values())))(params)
    for k, w in params.items():
        assert isinstance(grads[k], np.ndarray)
        assert (grads[k].shape, grads[k].dtype) == (w.shape, w.dtype)


# Values of primitives, in closed form.


def test_values() -> None:
    a = np.array([[-2.0, 0.5], [3.0, -0.1]])
    np.testing.assert_allclose(autodiff.sigmoid(a), 1 / (1 + np.exp(-a)), rtol=1e-14)
    np.testing.assert_array_equal(autodiff.relu(a), [[0.0, 0.5], [3.0, 0.0]])
    np.testing.assert_array_equal(autodiff.tanh(a), np.tanh(a))
    np.testing.assert_array_equal(autodiff.sum(a, axis=0), a.sum(axis=0))
    np.testing.assert_array_equal(autodiff.mean(a, axis=1), a.mean(axis=1))
    b = np.array([1.0, -1.0])
    np.testing.assert_array_equal(autodiff.linear(a, a.T, b), a @ a.T + b)
    softmax = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(autodiff.log_softmax(a), np.log(softmax), rtol=1e-13)
    expected = -(math.log(softmax[0, 1]) + math.log(softmax[1, 0])) / 2
    assert autodiff.cross_entropy(a, np.array([1, 0])) == pytest.approx(
        expected, rel=1e-13
    )


def test_large_arguments_do_not_overflow() -> None:
    a = np.array([[1e4, -1e4, 0.0]])
    np.testing.assert_array_equal(autodiff.sigmoid(a), [[1.0, 0.0, 0.5]])
    np.testing.assert_array_equal(autodiff.log_softmax(a), [[0.0, -2e4, -1e4]])
    params = {"z": a}
    loss, grads = value_and_grad(lambda p: autodiff.cross_entropy(p["z"], [1]))(params)
    assert loss == 2e4
    np.testing.assert_array_equal(grads["z"], [[1.0, -1.0, 0.0]])


def test_each_row_has_its_own_maximum() -> None:
    """With one for the batch, the exponentials of the other rows would vanish."""
    z = np.array([[1.0, 2.0, 0.0], [-2000.0, -2001.0, -1999.0], [3000.0, 3000.0, 0.0]])
    for scale in (1.0, 1e6):  # all rows far away from zero
        z[1:] *= scale
        expected = np.stack(
            [[v - r.max() for v in r] - np.log(np.exp(r - r.max()).sum()) for r in z]
        )
        np.testing.assert_allclose(autodiff.log_softmax(z), expected, rtol=1e-12)
        labels = np.array([0, 2, 1])
        loss, grads = value_and_grad(
            lambda p, y=labels: autodiff.cross_entropy(p["z"], y)
        )({"z": z})
        assert loss == pytest.approx(-expected[range(3), labels].mean(), rel=1e-12)
        onehot = np.eye(3)[labels]
        np.testing.assert_allclose(grads["z"], (np.exp(expected) - onehot) / 3)


def test_the_derivative_of_relu_at_zero_is_zero() -> None:
    _, grads = value_and_grad(lambda p: autodiff.sum(autodiff.relu(p["x"])))(
        {"x": np.zeros(3)}
    )
    np.testing.assert_array_equal(grads["x"], np.zeros(3))


@pytest.mark.parametrize("classes", [3, 40])  # short rows take another way
def test_cross_entropy_does_not_see_how_logits_and_labels_are_stored(
    classes: int,
) -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((6, classes)), rng.integers(0, 3, 6)
    run = autodiff.value_and_grad(lambda p, y: autodiff.cross_entropy(p["a"], y))
    value, grads = run({"a": logits}, labels)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.isclose(value, -np.mean(np.log(p[range(6), labels])))
    assert np.allclose(grads["a"], (p - np.eye(classes)[labels]) / 6)
    for other in (np.asfortranarray(logits), np.repeat(logits, 2, axis=0)[::2]):
        for kind in (np.uint8, np.uint64, np.int32):
            again, same = run({"a": other}, labels.astype(kind))
            assert again == value
            assert np.array_equal(same["a"], grads["a"])


def test_cross_entropys_gradient_is_softmax_minus_onehot() -> None:
    z = numbers(5, 3)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    onehot = np.eye(3)[LABELS]
    _, grads = value_and_grad(lambda q: autodiff.cross_entropy(q["z"], LABELS))(
        {"z": z}
    )
    np.testing.assert_allclose(grads["z"], (p - onehot) / 5, rtol=1e-12)


# Operators.

X, Y, M = numbers(3), positive(3, seed=1), numbers(3, 3, seed=2)
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "a * b": lambda a, b: a * b,
    "a / b": lambda a, b: a / b,
    "-a": lambda a, b: -a * b,
    "a ** 3": lambda a, b: a**3 * b,
    "2 + a": lambda a, b: (2 + a) * b,
    "2 - a": lambda a, b: (2 - a) * b,
    "2 * a": lambda a, b: (2 * a) * b,
    "2 / b": lambda a, b: a * (2 / b),
    "a + 2": lambda a, b: (a + 2) * b,
    "a - 2": lambda a, b: (a - 2) * b,
    "a * 2": lambda a, b: (a * 2) * b,
    "a / 2": lambda a, b: (a / 2) * b,
    "a[1]": lambda a, b: a[1] * b,
    "a[::-1]": lambda a, b: a[::-1] * b,
    "array + a": lambda a, b: (X + a) * b,
    "array - a": lambda a, b: (X - a) * b,
    "array * a": lambda a, b: (X * a) * b,
    "array / b": lambda a, b: a * (X / b),
    "array @ a": lambda a, b: (M @ (a * M)) * b,
    "a @ array": lambda a, b: ((a * M) @ M) * b,
    "a @ b": lambda a, b: (a * M) @ (b * M),
    "a.T": lambda a, b: (a * M).T * b,
    "scalar on the left": lambda a, b: np.float64(2.0) * a - np.float64(1.0) / b,
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operator(name: str) -> None:
    f = OPERATORS[name]
    check_grads(f, X, Y)
    tape: list[Var] = []
    out = f(Var(X, tape), Var(Y, tape))
    np.testing.assert_allclose(out.value, f(X, Y), rtol=1e-15)


@pytest.mark.parametrize("index", [1, (2, 1), slice(1, 3), (slice(None), None), ...])
def test_a_slice_is_pulled_back_without_ufunc_at(
    monkeypatch: pytest.MonkeyPatch, index: Any
) -> None:
    """Which is right, too, and a hundred times slower."""
    rule = inspect.unwrap(autodiff.take)
    taken, (pull, _) = rule(numbers(4, 3), index)
    monkeypatch.setattr(np, "add", None)
    expected = np.zeros((4, 3))
    expected[index] = 1.0
    np.testing.assert_array_equal(pull(np.ones(np.shape(taken))), expected)


def test_in_place_operators_make_new_variables() -> None:
    def f(p: Any) -> Any:
        a = b = p["a"]
        b += 1.0
        b *= a
        return autodiff.sum(b)

    x = numbers(3)
    x.setflags(write=False)
    _, grads = value_and_grad(f)({"a": x})
    np.testing.assert_allclose(grads["a"], 2 * x + 1, rtol=1e-14)


def test_numpy_functions_refuse_a_variable() -> None:
    """Better an error than an object array that has lost its gradient."""
    with pytest.raises(TypeError):
        np.exp(Var(X, []))


def test_repr_shows_the_value() -> None:
    assert repr(Var(np.array([1.0]), [])) == "Var(array([1.]))"


# The tape.


def test_a_variable_used_often_collects_every_use() -> None:
    def f(p: Params) -> Any:
        x: Any = p["x"]
        y = x * x
        return autodiff.sum(y * y + x * y + x)

    x = numbers(4)
    loss, grads = value_and_grad(f)({"x": x})
    assert loss == pytest.approx(float(np.sum(x**4 + x**3 + x)), rel=1e-13)
    np.testing.assert_allclose(grads["x"], 4 * x**3 + 3 * x**2 + 1, rtol=1e-12)


def test_both_arguments_may_be_the_same_variable() -> None:
    for f, slope in (
        (lambda x: x + x, 2.0),
        (lambda x: x - x, 0.0),
        (lambda x: x / x, 0.0),
    ):
        run = value_and_grad(lambda p, f=f: autodiff.sum(f(p["x"])))
        _, grads = run({"x": positive(3)})
        np.testing.assert_allclose(grads["x"], slope, atol=1e-15)


def test_unused_parameters_get_zeros() -> None:
    params: Params = {"x": numbers(2), "y": np.ones((2, 3), np.float32)}
    _, grads = value_and_grad(lambda p: autodiff.sum(p["x"]))(params)
    assert list(grads) == ["x", "y"]
    assert grads["y"].dtype == np.float32
    np.testing.assert_array_equal(grads["y"], np.zeros((2, 3)))


def test_what_does_not_reach_the_loss_has_no_gradient() -> None:
    def f(p: Any) -> Any:
        autodiff.exp(p["x"])
        loss = autodiff.sum(p["x"])
        autodiff.exp(loss)
        return loss

    _, grads = value_and_grad(f)({"x": numbers(3)})
    np.testing.assert_array_equal(grads["x"], np.ones(3))


def test_a_constant_loss_has_zero_gradients() -> None:
    for constant in (3.0, np.float64(3.0), np.array(3.0)):
        loss, grads = value_and_grad(lambda p, c=constant: c)({"x": numbers(3)})
        assert loss == 3.0
        np.testing.assert_array_equal(grads["x"], np.zeros(3))


def test_the_loss_may_be_a_parameter() -> None:
    loss, grads = value_and_grad(lambda p: p["x"])({"x": np.array(2.0)})
    assert loss == 2.0
    assert grads["x"].shape == ()
    assert grads["x"] == 1.0


def test_further_arguments_are_passed_on() -> None:
    run = value_and_grad(lambda p, x, y: autodiff.mean((p["w"] * x - y) ** 2))
    x, y = np.array([1.0, 2.0]), np.array([2.0, 3.0])
    loss, grads = run({"w": np.array([1.0, 1.0])}, x, y)
    assert loss == 1.0
    np.testing.assert_allclose(grads["w"], (x - y) * x, rtol=1e-15)


def test_a_long_chain_needs_no_recursion() -> None:
    def f(p: Any) -> Any:
        x = p["x"]
        for _ in range(5000):
            x = x * 1.0001
        return autodiff.sum(x)

    _, grads = value_and_grad(f)({"x": np.ones(2)})
    np.testing.assert_allclose(grads["x"], 1.0001**5000, rtol=1e-10)


def test_parameters_are_only_read_and_calls_repeat() -> None:
    params: Params = {"W": numbers(4, 3), "b": numbers(3, seed=1)}
    x = numbers(5, 4, seed=2)
    for a in (*params.values(), x):
        a.setflags(write=False)
    run = value_and_grad(
        lambda p, x: autodiff.cross_entropy(autodiff.linear(x, p["W"], p["b"]), LABELS)
    )
    first, second = run(params, x), run(params, x)
    assert type(first[0]) is float
    assert first[0] == second[0]
    for k in params:
        np.testing.assert_array_equal(first[1][k], second[1][k])


def test_gradients_are_arrays_of_their_own() -> None:
    """Scaling one in place must not change another, the parameters or fail."""
    x = numbers(3)
    params: Params = {"a": x, "b": numbers(3, seed=1), "c": np.array(0.5)}
    _, grads = value_and_grad(lambda p: autodiff.sum(p["a"] + p["b"]) + p["c"])(params)
    for g in grads.values():
        assert isinstance(g, np.ndarray)
        g *= 2.0
    np.testing.assert_array_equal(grads["a"], [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(grads["b"], [2.0, 2.0, 2.0])
    assert grads["c"] == 2.0


def test_two_parameters_do_not_share_one_gradient() -> None:
    """The cotangent of a sum reaches both terms as the same array."""
    weights = numbers(3, seed=2)
    params: Params = {"a": numbers(3), "b": numbers(3, seed=1)}
    _, grads = value_and_grad(lambda p: autodiff.sum((p["a"] + p["b"]) * weights))(
        params
    )
    grads["a"] *= 2.0
    np.testing.assert_array_equal(grads["b"], weights)
    np.testing.assert_array_equal(grads["a"], 2 * weights)


def test_a_gradient_is_no_view_of_another() -> None:
    """A reshaped cotangent has the memory of the one that was not."""
    weights = numbers(6, seed=2)
    params: Params = {"a": numbers(6), "b": numbers(2, 3, seed=1)}
    for names in (["a", "b"], ["b", "a"]):
        _, grads = value_and_grad(
            lambda p: autodiff.sum(
                (p["a"] + autodiff.reshape(p["b"], shape=(6,))) * weights
            )
        )({k: params[k] for k in names})
        grads["a"] *= 2.0
        np.testing.assert_array_equal(grads["b"].ravel(), weights)
        grads["b"] *= 3.0
        np.testing.assert_array_equal(grads["a"], 2 * weights)


def test_gradients_are_contiguous() -> None:
    columns = np.asfortranarray(numbers(3, 4))
    run = value_and_grad(lambda p: autodiff.sum(p["x"] * columns))
    for x in (numbers(3, 4, seed=1), np.asfortranarray(numbers(3, 4, seed=1))):
        _, grads = run({"x": x})
        assert grads["x"].flags.c_contiguous
        np.testing.assert_array_equal(grads["x"], columns)


def test_gradients_keep_a_subclass_of_arrays() -> None:
    """So that `cost.count` also counts what is done with them."""

    class Marked(np.ndarray[Any, np.dtype[Any]]):
        pass

    params: Any = {k: numbers(3, seed=i).view(Marked) for i, k in enumerate("abc")}
    run = value_and_grad(lambda p: autodiff.sum((p["a"] + p["b"]) * params["a"]))
    _, grads = run(params)
    assert {type(g) for g in grads.values()} == {Marked}


def test_float32_parameters_on_float64_data_get_float32_gradients() -> None:
    """Names, shapes and dtypes are the parameters', so that an optimizer takes them."""
    params: Params = {"W": np.ones((4, 3), np.float32), "b": np.ones(3, np.float32)}
    run = value_and_grad(
        lambda p: autodiff.cross_entropy(
            autodiff.linear(numbers(5, 4), p["W"], p["b"]), LABELS
        )
    )
    _, grads = run(params)
    assert {g.dtype for g in grads.values()} == {np.dtype(np.float32)}


def test_memory_is_free_when_the_call_returns() -> None:
    """Without waiting for the garbage collector: a step's activations are large."""
    inner = []

    def f(p: Any) -> Any:
        hidden = autodiff.tanh(p["x"])
        inner.append(weakref.ref(hidden.value))
        return autodiff.sum(hidden * hidden)

    gc.disable()
    try:
        value_and_grad(f)({"x": numbers(3)})
        assert inner[0]() is None
    finally:
        gc.enable()


@pytest.fixture
def registry() -> Iterator[None]:
    """Take primitives that a test defines out of the registry again."""
    before = dict(PRIMITIVES)
    yield
    PRIMITIVES.clear()
    PRIMITIVES.update(before)


@pytest.mark.usefixtures("registry")
def test_the_gradient_of_data_is_never_computed() -> None:
    @primitive
    def picky(a: Any, b: Any) -> Any:
        def never(d: Any) -> Any:
            raise AssertionError("the data's gradient was asked for")

        return a * b, (lambda d: d * b, never)

    assert PRIMITIVES["picky"] is picky
    run = value_and_grad(lambda p: autodiff.sum(picky(p["x"], np.full(3, 2.0))))
    _, grads = run({"x": numbers(3)})
    np.testing.assert_array_equal(grads["x"], np.full(3, 2.0))


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("factor", [0.0, 0.999, 1.001, -1.0])
def test_check_grads_finds_a_wrong_gradient(factor: float) -> None:
    @primitive
    def wrong(a: Any, b: Any) -> Any:
        return a * b, (lambda d: d * b, lambda d: factor * d * a)

    with pytest.raises(ValueError, match=r"^gradient of argument 1 is off by \d"):
        check_grads(wrong, numbers(3), numbers(3, seed=1))


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("size", "error", "found"),
    [
        (1e7, 1e-8, False),  # relative to the largest entry
        (-1e7, 1e-8, False),
        (1e7, 1e-5, True),
        (-1e7, 1e-5, True),
        (1e-4, 1e-3, False),  # absolute below 1
        (1e-4, 1e-1, True),
        (1e7, 8e-7, False),  # the default tolerance is 1e-6
        (1e7, 2e-6, True),
        (1.0, 5e-6, False),  # of an entry of 0.13
    ],
)
def test_check_grads_tolerance(size: float, error: float, found: bool) -> None:
    @primitive
    def nearly(a: Any) -> Any:
        return size * a, (lambda d: size * (1 + error) * d,)

    if found:
        with pytest.raises(ValueError, match="gradient of argument 0 is off by"):
            check_grads(nearly, numbers(1))
    else:
        check_grads(nearly, numbers(1))


@pytest.mark.usefixtures("registry")
def test_check_grads_finds_what_vanishes_in_a_plain_sum() -> None:
    """Hence the random direction: this vjp is right when all cotangents are equal."""

    @primitive
    def smeared(a: Any) -> Any:
        return a * 1.0, (lambda d: np.full_like(d, np.mean(d)),)

    with pytest.raises(ValueError, match="gradient of argument 0 is off by"):
        check_grads(smeared, numbers(3))


def test_check_grads_takes_a_step_that_fits_the_argument() -> None:
    check_grads(lambda a: a * a * 1e-8, np.array([1e8, -3e8]))
    check_grads(lambda a: autodiff.exp(a), np.zeros(2))


@pytest.mark.usefixtures("registry")
def test_a_primitive_has_a_vjp_for_each_argument() -> None:
    @primitive
    def short(a: Any, b: Any) -> Any:
        return a * b, (lambda d: d * b,)

    with pytest.raises(ValueError, match="shorter"):
        short(numbers(3), numbers(3))


@pytest.mark.usefixtures("registry")
def test_a_cotangent_is_freed_once_it_has_been_pulled_back() -> None:
    """The backward pass needs the memory of one layer, not of all."""
    cotangents: list[Any] = []

    @primitive
    def watched(a: Any) -> Any:
        def pull(d: Any) -> Any:
            assert all(seen() is None for seen in cotangents)
            cotangents.append(weakref.ref(d))
            return d * 2.0

        return a * 2.0, (pull,)

    def f(p: Any) -> Any:
        return autodiff.sum(watched(watched(watched(p["x"]))))

    _, grads = value_and_grad(f)({"x": numbers(3)})
    assert len(cotangents) == 3
    np.testing.assert_array_equal(grads["x"], np.full(3, 8.0))


@pytest.mark.usefixtures("registry")
def test_check_grads_finds_nan() -> None:
    @primitive
    def lost(a: Any) -> Any:
        return a * 1.0, (lambda d: d * np.nan,)

    with pytest.raises(ValueError, match=r"^gradient of argument 0 is off by nan"):
        check_grads(lost, numbers(3))


@pytest.mark.parametrize(
    "bad", [np.ones(3, np.float32), np.arange(3)], ids=["float32", "int"]
)
def test_check_grads_wants_float64(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^argument 1 must be a float64 array, got"):
        check_grads(autodiff.add, numbers(3), bad)


@pytest.mark.parametrize(
    "f",
    [
        lambda p: p["x"],
        lambda p: p["x"][None],
        lambda p: np.ones(3),
        lambda p: [1.0, 2.0, 3.0],
        lambda p: autodiff.sum(p["x"], axis=0) * np.ones(1),
    ],
)
def test_the_loss_must_be_one_number(f: Any) -> None:
    with pytest.raises(ValueError, match=r"^the loss must be one number, got shape \("):
        value_and_grad(f)({"x": numbers(3)})


WRONG_SHAPES: dict[str, tuple[Callable[[], Any], str]] = {
    "matmul of a vector": (
        lambda: autodiff.matmul(numbers(2, 3), numbers(3)),
        r"matmul needs a \(..., m, k\), b \(..., k, n\), got \(2, 3\), \(3,\)",
    ),
    "a vector times a matrix": (
        lambda: autodiff.matmul(numbers(3), numbers(3, 2)),
        r"matmul needs .*, got \(3,\), \(3, 2\)",
    ),
    "matmul of unequal stacks": (
        lambda: autodiff.matmul(numbers(2, 3, 4), numbers(4, 5)),
        r"matmul needs equal leading axes, got shapes \(2, 3, 4\) and \(4, 5\)",
    ),
    "matmul that does not fit": (
        lambda: autodiff.matmul(numbers(2, 3), numbers(2, 3)),
        r"matmul needs .*, got \(2, 3\), \(2, 3\)",
    ),
    "linear of a vector": (
        lambda: autodiff.linear(numbers(4), numbers(4, 3), numbers(3)),
        r"linear needs .* got \(4,\), \(4, 3\), \(3,\)",
    ),
    "linear with too many inputs": (
        lambda: autodiff.linear(numbers(5, 4), numbers(3, 2), numbers(2)),
        r"linear needs .* got \(5, 4\), \(3, 2\), \(2,\)",
    ),
    "linear whose bias would broadcast": (
        lambda: autodiff.linear(numbers(5, 4), numbers(4, 3), numbers(1)),
        r"linear needs .* got \(5, 4\), \(4, 3\), \(1,\)",
    ),
    "add that does not broadcast": (
        lambda: autodiff.add(numbers(2, 3), numbers(2)),
        r"operands could not be broadcast together",
    ),
    "reshape to another size": (
        lambda: autodiff.reshape(numbers(2, 3), shape=(4,)),
        r"cannot reshape array of size 6",
    ),
    "cross_entropy with too few labels": (
        lambda: autodiff.cross_entropy(numbers(5, 3), np.array([0])),
        r"cross_entropy needs .* got \(5, 3\), \(1,\)",
    ),
    "cross_entropy with one-hot labels": (
        lambda: autodiff.cross_entropy(numbers(3, 3), np.eye(3, dtype=int)),
        r"cross_entropy needs .* got \(3, 3\), \(3, 3\)",
    ),
    "cross_entropy with labels in a column": (
        lambda: autodiff.cross_entropy(numbers(5, 3), LABELS[:, None]),
        r"cross_entropy needs .* got \(5, 3\), \(5, 1\)",
    ),
    "cross_entropy of one sample": (
        lambda: autodiff.cross_entropy(numbers(3), np.array([0, 1, 1])),
        r"cross_entropy needs .* got \(3,\), \(3,\)",
    ),
    "log_softmax of a number": (
        lambda: autodiff.log_softmax(numbers()),
        r"log_softmax needs a \(..., classes\), got \(\)",
    ),
    "conv2d of grey images without channels": (
        lambda: autodiff.conv2d(*several((2, 5, 5), (3, 3, 1, 2), (2,))),
        r"conv2d needs x \(batch, height, width, c_in\), W \(kh, kw, c_in, c_out\), "
        r"b \(c_out,\), got \(2, 5, 5\), \(3, 3, 1, 2\), \(2,\)",
    ),
    "conv2d with channels first": (
        lambda: autodiff.conv2d(*several((2, 3, 8, 8), (3, 3, 3, 2), (2,))),
        r"conv2d needs .* got \(2, 3, 8, 8\), \(3, 3, 3, 2\), \(2,\)",
    ),
    "conv2d of images smaller than the kernel": (
        lambda: autodiff.conv2d(*several((2, 2, 5, 1), (3, 3, 1, 2), (2,))),
        r"conv2d: images \(2, 2, 5, 1\) are smaller than kernels \(3, 3, 1, 2\)",
    ),
    **{
        f"conv2d with pad={bad!r}": (
            lambda bad=bad: autodiff.conv2d(  # type: ignore[misc]
                *several((2, 5, 5, 1), (3, 2, 1, 2), (2,)), pad=bad
            ),
            r"pad must be an int in \[0, 1\], got " + repr(bad),
        )
        for bad in (-1, 2, 1.0, True, None, "same")
    },
    "depthwise2d of kernels for other channels": (
        lambda: autodiff.depthwise2d(*several((2, 4, 4, 3), (3, 3, 1), (1,))),
        r"depthwise2d needs .* got \(2, 4, 4, 3\), \(3, 3, 1\), \(1,\)",
    ),
    "depthwise2d of images smaller than the kernel": (
        lambda: autodiff.depthwise2d(*several((2, 2, 5, 1), (3, 3, 1), (1,))),
        r"depthwise2d: images \(2, 2, 5, 1\) are smaller than kernels \(3, 3, 1\)",
    ),
    "depthwise2d of images narrower than the kernel": (
        lambda: autodiff.depthwise2d(*several((2, 5, 2, 1), (3, 3, 1), (1,))),
        r"depthwise2d: images \(2, 5, 2, 1\) are smaller than kernels \(3, 3, 1\)",
    ),
    **{
        f"conv2d of images {h} x {w} with a border": (
            lambda h=h, w=w: autodiff.conv2d(  # type: ignore[misc]
                *several((2, h, w, 1), (4, 4, 1, 2), (2,)), pad=1
            ),
            r"conv2d: images .* are smaller than kernels \(4, 4, 1, 2\)",
        )
        for h, w in ((1, 9), (9, 1))
    },
    **{
        f"depthwise2d with pad={bad!r}": (
            lambda bad=bad: autodiff.depthwise2d(  # type: ignore[misc]
                *several((2, 5, 5, 1), (3, 2, 1), (1,)), pad=bad
            ),
            r"pad must be an int in \[0, 1\], got " + repr(bad),
        )
        for bad in (-1, 2, 1.0, True, None)
    },
    "conv_layer whose bias would broadcast": (
        lambda: autodiff.conv_layer(*several((2, 4, 4, 1), (3, 3, 1, 2), (1,)), pad=1),
        r"conv_layer needs .* got \(2, 4, 4, 1\), \(3, 3, 1, 2\), \(1,\)",
    ),
    **{
        f"conv_layer with pool={bad!r}": (
            lambda bad=bad: autodiff.conv_layer(  # type: ignore[misc]
                *several((2, 6, 8, 1), (3, 3, 1, 2), (2,)), pad=1, pool=bad
            ),
            f"pool must be an int >= 1, got {bad}",
        )
        for bad in (0, -2, 2.0, True, None)
    },
    **{
        f"conv_layer with pool={bad!r}": (
            lambda bad=bad: autodiff.conv_layer(  # type: ignore[misc]
                *several((2, 6, 8, 1), (3, 3, 1, 2), (2,)), pad=1, pool=bad
            ),
            f"pool must divide height 6 and width 8, got {bad}",
        )
        for bad in (3, 4)
    },
    **{
        f"{op.__name__} with size={bad!r}": (
            lambda op=op, bad=bad: op(numbers(2, 6, 8, 1), size=bad),  # type: ignore[misc]
            f"size must be an int >= 1, got {bad}",
        )
        for op in (autodiff.max_pool, autodiff.avg_pool)
        for bad in (0, -2, 2.0, True, None)
    },
    **{
        f"{op.__name__} with size={bad!r}": (
            lambda op=op, bad=bad: op(numbers(2, 6, 8, 1), size=bad),  # type: ignore[misc]
            rf"size must divide height and width of x, \(2, 6, 8, 1\), got {bad}",
        )
        for op in (autodiff.max_pool, autodiff.avg_pool)
        for bad in (3, 4)
    },
    "max_pool of one image": (
        lambda: autodiff.max_pool(numbers(4, 4, 1)),
        r"max_pool needs x \(batch, height, width, channels\), got \(4, 4, 1\)",
    ),
    "avg_pool of a matrix": (
        lambda: autodiff.avg_pool(numbers(4, 4)),
        r"avg_pool needs x .*, got \(4, 4\)",
    ),
    "rnn_layer of one sequence": (
        lambda: autodiff.rnn_layer(*several((4, 2), (2, 3), (3, 3), (3,))),
        r"rnn_layer needs x \(batch, time, n_in\), W \(n_in, n\), U \(n, n\), "
        r"b \(n,\), got \(4, 2\), \(2, 3\), \(3, 3\), \(3,\)",
    ),
    "rnn_layer whose state has another size": (
        lambda: autodiff.rnn_layer(*several((2, 4, 2), (2, 3), (4, 4), (3,))),
        r"rnn_layer needs .* got \(2, 4, 2\), \(2, 3\), \(4, 4\), \(3,\)",
    ),
    "lstm_layer with three gates": (
        lambda: autodiff.lstm_layer(*several((2, 4, 2), (2, 9), (3, 9), (9,))),
        r"lstm_layer needs .* W \(n_in, 4\*n\), .* got \(2, 4, 2\), \(2, 9\), ",
    ),
    "lstm_layer with transposed weights": (
        lambda: autodiff.lstm_layer(*several((2, 4, 2), (12, 2), (12, 3), (12,))),
        r"lstm_layer needs .* got \(2, 4, 2\), \(12, 2\), \(12, 3\), \(12,\)",
    ),
    "gru_layer with four gates": (
        lambda: autodiff.gru_layer(*several((2, 4, 2), (2, 12), (3, 12), (12,), (3,))),
        r"gru_layer needs .* got \(2, 4, 2\), \(2, 12\), \(3, 12\), \(12,\), \(3,\)",
    ),
    "gru_layer with a bias too long": (
        lambda: autodiff.gru_layer(*several((2, 4, 2), (2, 9), (3, 9), (9,), (9,))),
        r"gru_layer needs .* got \(2, 4, 2\), \(2, 9\), \(3, 9\), \(9,\), \(9,\)",
    ),
    "self_attention with separate projections": (
        lambda: autodiff.self_attention(
            *several((2, 3, 4), (4, 4), (4,), (4, 4), (4,)), heads=2
        ),
        r"self_attention needs .* got \(2, 3, 4\), \(4, 4\), \(4,\), \(4, 4\), ",
    ),
    **{
        f"self_attention with heads={bad!r}": (
            lambda bad=bad: autodiff.self_attention(  # type: ignore[misc]
                *several((2, 3, 4), (4, 12), (12,), (4, 4), (4,)), heads=bad
            ),
            f"heads must be an int >= 1, got {bad}",
        )
        for bad in (0, -1, 2.0, True, None)
    },
    **{
        f"self_attention with heads={bad!r}": (
            lambda bad=bad: autodiff.self_attention(  # type: ignore[misc]
                *several((2, 3, 4), (4, 12), (12,), (4, 4), (4,)), heads=bad
            ),
            f"heads must divide dim = 4, got {bad}",
        )
        for bad in (3, 8)
    },
    "layer_norm of a number": (
        lambda: autodiff.layer_norm(numbers(), numbers(1), numbers(1)),
        r"layer_norm needs x \(..., n\), g \(n,\), b \(n,\), got \(\), \(1,\), ",
    ),
    "layer_norm over other features": (
        lambda: autodiff.layer_norm(*several((2, 3), (2,), (2,))),
        r"layer_norm needs .*, got \(2, 3\), \(2,\), \(2,\)",
    ),
    "batch_norm whose scale would broadcast": (
        lambda: autodiff.batch_norm(*several((2, 3), (1,), (3,))),
        r"batch_norm needs .*, got \(2, 3\), \(1,\), \(3,\)",
    ),
    "batch_norm of an empty batch": (
        lambda: autodiff.batch_norm(*several((0, 3), (3,), (3,))),
        r"batch_norm needs a sample or more, got shape \(0, 3\)",
    ),
    "batch_norm with statistics of other features": (
        lambda: autodiff.batch_norm(
            *several((2, 3), (3,), (3,)), statistics=(numbers(2), numbers(2))
        ),
        r"batch_norm needs g \(n,\), mean \(n,\), var \(n,\), got \(3,\), \(2,\), ",
    ),
    **{
        f"{op.__name__} with eps={bad!r}": (
            lambda op=op, bad=bad: op(  # type: ignore[misc]
                *several((2, 3), (3,), (3,)), eps=bad
            ),
            rf"eps must be in \[0, inf\), got {bad}",
        )
        for op in (autodiff.layer_norm, autodiff.batch_norm)
        for bad in (-1e-5, math.nan, math.inf, None, True)
    },
    "embedding in a vector": (
        lambda: autodiff.embedding(numbers(3), [0]),
        r"embedding needs table \(words, dim\), got \(3,\)",
    ),
    **{
        f"embedding of {bad!r}": (
            lambda bad=bad: autodiff.embedding(numbers(3, 2), bad),  # type: ignore[misc]
            rf"ids must be ints in \[0, 3\), got {got}$",
        )
        for bad, got in (
            ([0, 3, 1, 4], r"\[3 4\]"),
            ([[-1, 2]], r"\[-1\]"),
            ([0.0, 1.0], "float64"),
            ([True, False], "bool"),
        )
    },
    **{
        f"dropout with rate={bad!r}": (
            lambda bad=bad: autodiff.dropout(  # type: ignore[misc]
                numbers(3), rate=bad, rng=generator()
            ),
            rf"rate must be in \[0, 1\), got {bad}",
        )
        for bad in (-0.1, 1.0, 1, math.nan, None, True)
    },
    **{
        f"dropout with rng={bad!r}": (
            lambda bad=bad: autodiff.dropout(numbers(3), rate=0.5, rng=bad),  # type: ignore[misc]
            f"rng must be a numpy Generator or None, got {bad}",
        )
        for bad in (0, np.random)
    },
    "recorded ids": (
        lambda: autodiff.embedding(numbers(3, 2), Var(np.array([0]), [])),
        r"embedding has no derivative with respect to argument 1",
    ),
    "a recorded exponent": (
        lambda: autodiff.power(numbers(3), Var(np.array(2.0), [])),
        r"exponent must be a finite number, got array\(2\.\)",
    ),
    "recorded labels": (
        lambda: autodiff.cross_entropy(numbers(5, 3), Var(LABELS, [])),
        r"cross_entropy has no derivative with respect to argument 1",
    ),
}


@pytest.mark.parametrize("case", WRONG_SHAPES)
def test_wrong_shapes(case: str) -> None:
    call, message = WRONG_SHAPES[case]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("labels", [[0, 3], [0, -1]])
def test_labels_must_be_classes(labels: list[int]) -> None:
    """-1 would silently mean the last class."""
    with pytest.raises(ValueError, match=r"^labels must be ints in \[0, 3\), got \["):
        autodiff.cross_entropy(numbers(2, 3), np.array(labels))
