"""What would give a wrong gradient without a word is refused."""

import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from deepopt_lib import autodiff
from deepopt_lib.autodiff import Var, linear, power, tanh, value_and_grad
from deepopt_lib.core import Array, Params

X = np.array([1.0, 2.0])
OVER = r"is a Var of a value_and_grad call that is over: take its \.value$"
TWO = r"no second derivatives here, but see hvp\)$"


def grad(f: Any, x: Any = X) -> Array:
    return value_and_grad(f)({"x": x})[1]["x"]


# Variables of two calls.


def test_a_variable_kept_from_an_earlier_call_does_not_stop_the_gradient() -> None:
    """A cache of the hidden layer: the gradient of W was 0."""
    cache: list[Any] = []

    def loss(p: Any) -> Any:
        if not cache:
            cache.append(linear(np.ones((3, 2)), p["W"], p["b"]))
        return autodiff.sum(tanh(cache[0]))

    params: Params = {"W": np.ones((2, 2)), "b": np.zeros(2)}
    run = value_and_grad(loss)
    assert np.all(run(params)[1]["W"] > 0)
    with pytest.raises(ValueError, match=r"^tanh: argument 0 " + OVER):
        run(params)
    assert cache[0].value.shape == (3, 2)  # its value is still there


def test_a_variable_of_a_call_that_is_over_is_refused_anywhere() -> None:
    kept: list[Any] = []

    def loss(p: Any) -> Any:
        kept.append(p["x"])
        return autodiff.sum(p["x"])

    grad(loss)
    old = kept[0]
    for use in (
        lambda p: autodiff.sum(p["x"] * old),
        lambda p: autodiff.sum(old * p["x"]),
        lambda p: autodiff.sum(old),
    ):
        with pytest.raises(ValueError, match=OVER):
            grad(use)
    with pytest.raises(ValueError, match=r"^mul: argument 0 " + OVER):
        old * 2.0
    with pytest.raises(ValueError, match=r"^the loss is a Var of another call"):
        grad(lambda p: Var(1.0, []))
    np.testing.assert_array_equal(grad(lambda p: autodiff.sum(p["x"] * old.value)), X)


def test_the_refusal_names_the_argument_that_is_wrong() -> None:
    """Not the labels, which are not recorded and need no derivative."""
    kept: list[Any] = []

    def loss(p: Any) -> Any:
        kept.append(p["x"])
        return autodiff.cross_entropy(p["x"], [0])

    grad(loss, X[None])
    with pytest.raises(ValueError, match=r"^cross_entropy: argument 0 " + OVER):
        autodiff.cross_entropy(kept[0], [0])
    with pytest.raises(ValueError, match=r"^add: argument 1 " + OVER):
        grad(lambda p: p["x"] + kept[0])


def test_a_call_that_fails_is_over_too() -> None:
    kept: list[Any] = []

    def loss(p: Any) -> Any:
        kept.append(p["x"])
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        grad(loss)
    with pytest.raises(ValueError, match=r"^exp: argument 0 " + OVER):
        autodiff.exp(kept[0])


def test_a_gradient_inside_another_is_a_constant() -> None:
    """The inner one has its own values: allowed, and x * 2x has the gradient 2x."""

    def loss(p: Any) -> Any:
        inner = grad(lambda q: autodiff.sum(q["x"] * q["x"]), p["x"].value)
        return autodiff.sum(p["x"] * inner)

    np.testing.assert_array_equal(grad(loss), 2 * X)
    value, _ = value_and_grad(loss)({"x": X})
    assert value == 10.0


def test_a_gradient_inside_another_may_be_ignored_by_the_tape() -> None:
    """Before, between and after recorded work."""

    def loss(p: Any) -> Any:
        y = p["x"] * 3.0
        scale = grad(lambda q: autodiff.sum(q["x"] ** 3))
        return autodiff.sum(y * scale)

    np.testing.assert_array_equal(grad(loss), 3 * 3 * X**2)


def test_the_derivative_of_a_gradient_is_refused() -> None:
    """It was [3, 5] for [2, 4]."""

    def through_the_closure(p: Any) -> Any:
        inner = grad(lambda q: autodiff.sum(q["x"] * p["x"]))
        return autodiff.sum(p["x"] * inner)

    def through_the_parameters(p: Any) -> Any:
        inner = grad(lambda q: autodiff.sum(q["x"] * q["x"]), p["x"])
        return autodiff.sum(p["x"] * inner)

    def through_the_arguments(p: Any) -> Any:
        run = value_and_grad(lambda q, x: autodiff.sum(x * q["x"]))
        return autodiff.sum(p["x"] * run({"x": X}, p["x"])[1]["x"])

    def through_the_loss(p: Any) -> Any:
        value, _ = value_and_grad(lambda q: autodiff.sum(p["x"]))({"x": X})
        return autodiff.sum(p["x"]) * value

    for loss, start in (
        (through_the_closure, r"^mul mixes Vars of two value_and_grad calls: "),
        (through_the_parameters, r"^params\['x'\] is a Var of another call: "),
        (through_the_arguments, r"^mul mixes Vars of two value_and_grad calls: "),
        (through_the_loss, r"^the loss is a Var of another call: "),
    ):
        with pytest.raises(ValueError, match=start + ".*" + TWO):
            grad(loss)


def test_the_outer_call_goes_on_after_a_refusal() -> None:
    def loss(p: Any) -> Any:
        with pytest.raises(ValueError, match=TWO):
            grad(lambda q: autodiff.sum(q["x"] * p["x"]))
        return autodiff.sum(p["x"] * p["x"])

    np.testing.assert_array_equal(grad(loss), 2 * X)


# Parameters.


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (np.arange(3), "int64"),
        (np.array([True, False]), "bool"),
        (np.zeros(2, np.uint8), "uint8"),
        (np.zeros(2, complex), "complex128"),
        (np.array([1.0, None]), "object"),
        (np.int64(2), "int64"),
        (2.0, "float"),
        ([1.0, 2.0], "list"),
        (None, "NoneType"),
    ],
)
def test_parameters_without_a_gradient_are_refused(bad: Any, what: str) -> None:
    """The gradient of integers was 0, that of bools True."""
    calls: list[Any] = []
    message = f"params['layer1.b'] must be a floating-point array, got {what}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        value_and_grad(calls.append)({"layer1.W": np.ones(2), "layer1.b": bad})
    assert not calls


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_every_floating_dtype_is_a_parameter(dtype: Any) -> None:
    for x in (np.array([1.0, 2.0], dtype), np.array(3.0, dtype), dtype(3.0)):
        found = grad(lambda p: autodiff.sum(p["x"] * p["x"]), x)
        assert isinstance(found, np.ndarray)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, 2 * x)


# Questions to a variable.


@pytest.mark.parametrize(
    "compare",
    [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge],
)
@pytest.mark.parametrize("other", [0.0, np.zeros(2), np.float64(0.0), None, "x"])
def test_a_variable_is_not_compared(compare: Callable[..., Any], other: Any) -> None:
    """``x == 0.0`` was False whatever x was."""
    var = Var(X, [])
    with pytest.raises(
        TypeError, match=r"^a Var cannot be compared: take its \.value$"
    ):
        compare(var, other)
    with pytest.raises(
        TypeError, match=r"^a Var cannot be compared: take its \.value$"
    ):
        compare(other, var)


def test_a_variable_has_no_truth() -> None:
    """A branch on it was always taken."""
    for value in (X, np.zeros(2), 0.0):
        with pytest.raises(TypeError, match=r"^a Var is neither .* take its \.value$"):
            bool(Var(value, []))


def test_a_variable_is_itself() -> None:
    a, b = Var(X, []), Var(X, [])
    assert {a: 1, b: 2}[b] == 2
    assert len({a, b, a}) == 2
    assert a in [a, b]


@pytest.mark.parametrize(
    "f",
    [
        np.mean,
        np.asarray,
        np.sum,
        np.max,
        np.exp,
        lambda x: np.where([True, False], x, 0.0),
        lambda x: np.concatenate([[x], [x]]),
        lambda x: np.reshape(x, (2, 1)),
        lambda x: np.array([x, x]),
        lambda x: np.stack([x, x]),
    ],
)
def test_numpy_refuses_a_variable(f: Callable[..., Any]) -> None:
    """``np.mean`` gave it back as it was, ``np.where`` an array of objects."""
    with pytest.raises(TypeError, match=r"Var"):
        f(Var(X, []))


def test_a_variable_is_iterated_by_rows() -> None:
    rows = grad(lambda p: autodiff.sum(sum(row * row for row in p["x"])), np.eye(2))
    np.testing.assert_array_equal(rows, 2 * np.eye(2))
    with pytest.raises(TypeError, match="unsized"):
        list(Var(np.array(1.0), []))  # it was empty


# Powers.


@pytest.mark.parametrize(
    "exponent", [X, np.array(2.0), [2.0], None, "2", True, np.nan, np.inf, 1j]
)
def test_an_exponent_is_a_number(exponent: Any) -> None:
    """That of an array changed the gradient's shape."""
    with pytest.raises(ValueError, match=r"^exponent must be a finite number, got "):
        power(X, exponent)
    with pytest.raises(ValueError, match=r"^exponent must be a finite number, got "):
        grad(lambda p: autodiff.sum(p["x"] ** exponent))


@pytest.mark.parametrize("exponent", [3, np.int64(3), np.float64(3.0), np.float32(3)])
def test_an_exponent_does_not_promote(exponent: Any) -> None:
    x = np.array([1.0, -2.0], np.float32)
    np.testing.assert_array_equal(power(x, exponent), np.array([1, -8], np.float32))
    assert power(x, exponent).dtype == np.float32
    np.testing.assert_array_equal(
        grad(lambda p: autodiff.sum(p["x"] ** exponent), x), [3, 12]
    )


def test_powers_at_zero() -> None:
    """``x**0`` is 1 everywhere, and its derivative was NaN at 0."""
    x = np.array([0.0, 2.0, -1.0])
    for exponent, expected in (
        (0, [0, 0, 0]),
        (0.0, [0, 0, 0]),
        (1, [1, 1, 1]),
        (2, [0, 4, -2]),
        (3, [0, 12, 3]),
    ):
        found = grad(lambda p, n=exponent: autodiff.sum(p["x"] ** n), x)
        np.testing.assert_array_equal(found, expected)


def test_powers_with_a_pole_at_zero_say_so() -> None:
    """Infinity, as of the function itself, with NumPy's warning."""
    for exponent, expected in ((-1, -np.inf), (-2, -np.inf), (0.5, np.inf)):
        with np.errstate(divide="ignore"):
            found = grad(
                lambda p, n=exponent: autodiff.sum(p["x"] ** n), np.array([0.0])
            )
        np.testing.assert_array_equal(found, [expected])
        with pytest.warns(RuntimeWarning, match="divide by zero"):
            grad(lambda p, n=exponent: autodiff.sum(p["x"] ** n), np.array([0.0]))


# Labels and indices.


@pytest.mark.parametrize(
    ("labels", "got"),
    [
        (np.array([True, False]), "bool"),
        (np.array([0.0, 1.0]), "float64"),
        (["0", "1"], "<U1"),
        (np.array([0, 3]), r"\[3\]"),
        (np.array([5, -1]), r"\[-1  5\]"),
    ],
)
def test_labels_are_ints(labels: Any, got: str) -> None:
    """Bools chose rows as a mask, and the loss was that of other samples."""
    logits = np.arange(6.0).reshape(2, 3)
    with pytest.raises(
        ValueError, match=rf"^labels must be ints in \[0, 3\), got {got}"
    ):
        autodiff.cross_entropy(logits, labels)
    with pytest.raises(ValueError, match=rf"^ids must be ints in \[0, 3\), got {got}"):
        autodiff.embedding(np.ones((3, 2)), labels)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.int64])
def test_labels_of_any_width(dtype: Any) -> None:
    logits, labels = np.arange(6.0).reshape(2, 3), np.array([2, 0])
    expected = autodiff.cross_entropy(logits, labels)
    assert autodiff.cross_entropy(logits, labels.astype(dtype)) == expected
    assert autodiff.cross_entropy(logits, [2, 0]) == expected


def test_no_labels_give_no_loss_and_no_gradient() -> None:
    none = np.zeros(0, int)
    run = value_and_grad(lambda p: autodiff.cross_entropy(p["z"], none))
    loss, grads = run({"z": np.zeros((0, 3))})
    assert loss == 0
    assert grads["z"].shape == (0, 3)


def test_a_mask_takes_entries() -> None:
    mask = np.array([True, False])
    np.testing.assert_array_equal(
        grad(lambda p: autodiff.sum(p["x"][mask] * 3.0)), [3.0, 0.0]
    )
