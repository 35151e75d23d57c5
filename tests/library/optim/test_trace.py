"""Rules read by running them: whatever straight-line Python does, the loop does too.

Random rules, written as text with names that a generated loop might use itself, with
aliases, histories, helper functions and lambdas, give the same bits pure, in blocks and
compiled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepopt_lib.core import Array, Params, Rule, flatten, unflatten
from deepopt_lib.core.optional import numba_is_installed
from deepopt_lib.optim import (
    Adam,
    Checked,
    InPlace,
    Momentum,
    Optimizer,
    WeightDecay,
    chain,
    loop_source,
)

WAYS = (False, True) if numba_is_installed() else (False,)
NAMES = ["x0", "c0", "s0", "lr", "states", "i", "loop", "t", "g", "w", "u", "np_", "m"]


class Pair(NamedTuple):
    """A state of two arrays."""

    a: Array
    b: Array


def swap(a: Any, b: Any) -> Any:
    return Pair(b, a)


def mix(a: Any, b: Any) -> Any:
    total = a + b
    return total * 0.5


@st.composite
def rule_texts(draw: st.DrawFn) -> str:
    """Draw the body of an ``update``: assignments, then a direction and a state."""
    known = ["g", "w", "s.a", "s.b"]

    def one() -> str:
        return draw(st.sampled_from(known))

    number = draw(st.sampled_from(["0.9", "self.k", "2", "1 - self.k**t_", "t_ / 8"]))
    lines = ["t_ = t"]
    for _ in range(draw(st.integers(1, 6))):
        a, b, c = one(), one(), one()
        value = draw(
            st.sampled_from(
                [
                    f"{a} + {b} * {number}",
                    f"{number} * {a} - {b}",
                    f"{a} / (1 + abs({b}))",
                    f"{a} / 4",
                    f"-{a}",
                    f"{a}**2",
                    f"np.sqrt(abs({a})) + {b}",
                    f"np.maximum({a}, {b})",
                    f"np.where({a} > {b}, {c}, {number})",
                    f"np.where(({a} > 0) & ~({b} <= {c}), {c}, {a})",
                    f"np.sign({a}) * {b} + ({c} > 0)",
                    f"np.square({a}) - np.reciprocal(2 + abs({b}))",
                    f"mix({a}, {b})",
                    f"(lambda x, y: y - x * 0.25)({a}, {b})",
                    f"sum([{a}, {b}, {c}])",
                    f"np.clip_({a})",
                ]
            )
        ).replace("np.clip_(", "np.minimum(1.5, ")
        name = draw(st.sampled_from([n for n in NAMES if n != "np_"]))
        other = draw(st.sampled_from(["", "", f"{draw(st.sampled_from(NAMES))} = "]))
        lines.append(f"{other}{name} = {value}")
        known += [n for n in (name, other.removesuffix(" = ")) if n and n not in known]
    states = [
        *(f"Pair({one()}, {one()})", f"swap({one()}, {one()})", "swap(s.a, s.b)"),
        *("Pair(g, s.a)", "Pair(w, s.b)", f"Pair({one()}, np.zeros_like(w))"),
    ]
    lines.append(f"return {one()}, {draw(st.sampled_from(states))}")
    return "\n".join(f"        {line}" for line in lines)


def made(body: str) -> Any:
    """Return the rule that a text describes, made where no source file can be read."""
    text = (
        "class Drawn:\n"
        "    elementwise, k = True, 0.75\n"
        "    def init(self, w, /):\n"
        "        return Pair(np.zeros_like(w), np.ones_like(w))\n"
        f"    def update(self, g, s, w, t, /):\n{body}\n"
    )
    space = {"np": np, "Pair": Pair, "swap": swap, "mix": mix}
    exec(text, space)
    cls: Any = space["Drawn"]
    return cls()


def pure(rule: Rule, w: Array, grads: list[Array]) -> list[Array]:
    method, params = Optimizer(rule, 0.125), {"w": w}
    state = method.init(params)
    for g in grads:
        params, state = method.step({"w": g}, state, params)
    return [params["w"], *flatten(state.rules["w"])]


def in_place(rule: Rule, w: Array, grads: list[Array], compiled: bool) -> list[Array]:
    run = InPlace(Optimizer(rule, 0.125), {"w": w}, compiled=compiled)
    for g in grads:
        run.step({"w": g})
    return [run.params["w"], *flatten(run.state.rules["w"])]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(body=rule_texts(), dtype=st.sampled_from([np.float32, np.float64]))
def test_any_straight_line_rule_is_the_same_pure_in_blocks_and_in_the_loop(
    body: str, dtype: Any
) -> None:
    rng, rule = np.random.default_rng(0), made(body)
    w, *grads = rng.standard_normal((4, 19)).astype(dtype)
    with np.errstate(all="ignore"):
        expected = pure(rule, w, grads)
        for compiled in WAYS:
            found = in_place(rule, w, grads, compiled)
            for a, b in zip(expected, found, strict=True):
                assert a.dtype == b.dtype == dtype
                np.testing.assert_array_equal(a, b)


def test_a_local_named_t_and_a_chained_assignment_are_what_python_says() -> None:
    rule = made("        t = g*2\n        a = b = t + w\n        return b, Pair(a, t)")
    w, g = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    for compiled in WAYS:
        found, a, t = in_place(rule, w, [g], compiled)
        np.testing.assert_array_equal(t, 2 * g)
        np.testing.assert_array_equal(a, 2 * g + w)
        np.testing.assert_array_equal(found, w - 0.125 * (2 * g + w))


@pytest.mark.parametrize(
    "value",
    [
        *(
            "np.positive(g) + np.reciprocal(w)",
            "g * np.ones_like(w) + np.zeros_like(g)",
        ),
        "np.where(np.logical_xor(g > 0, np.logical_not(w > 0)), 2 * g, w)",
        "np.where(np.logical_or(g > 1, w == w) != np.logical_and(g < w, g >= 0), g, 3)",
    ],
)
def test_functions_that_have_another_name_in_the_loop(value: str) -> None:
    rule = made(f"        return {value}, Pair(w, s.b)")
    w, *grads = np.random.default_rng(0).standard_normal((4, 50))
    expected = pure(rule, w, grads)
    for compiled in WAYS:
        found = in_place(rule, w, grads, compiled)
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("exponent", [-1.0, 0.5, 1.0, 2.0])
def test_simple_powers_are_no_powers(exponent: float) -> None:
    rule = made(f"        return abs(g) ** {exponent}, s")
    assert "np.power" not in loop_source(rule)
    w, g = np.zeros(3), np.array([1.5, 2.0, -3.0])
    for compiled in WAYS:
        found = in_place(rule, w, [g], compiled)[0]
        np.testing.assert_allclose(found, -0.125 * np.abs(g) ** exponent, rtol=1e-15)


def test_a_wrapped_update_is_what_runs() -> None:
    def doubled(update: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(self: Any, g: Any, s: Any, w: Any, t: Any, /) -> Any:
            u, s = update(self, g, s, w, t)
            return 2 * u, s

        return wrapped

    class Twice(Momentum):
        update = doubled(Momentum.update)

    w, g = np.zeros(2), np.array([1.0, -3.0])
    for compiled in WAYS:
        np.testing.assert_array_equal(
            in_place(Twice(), w, [g, g], compiled)[0], pure(Twice(), w, [g, g])[0]
        )


def test_a_shifted_history_and_a_state_that_is_the_parameter() -> None:
    class History:
        elementwise = True

        def init(self, w: Array, /) -> Any:
            return (np.zeros_like(w),) * 3

        def update(self, g: Array, s: Any, w: Array, t: int, /) -> Any:
            return g + s[2], (w, s[0], s[1])

    rng = np.random.default_rng(0)
    w, *grads = rng.standard_normal((6, 5))
    for compiled in WAYS:
        for a, b in zip(
            pure(History(), w, grads),
            in_place(History(), w, grads, compiled),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


def test_a_chain_is_one_loop_and_equal_operations_are_one() -> None:
    text = loop_source(chain(Adam(), WeightDecay(0.01)))
    assert text.count("for i in range") == 1
    assert text.count("np.sqrt") == 1
    body = "        return g*g + 1, Pair(g*g + 1, s.b)"
    assert loop_source(made(body)).count("x0 * x0") == 1


def test_constants_are_computed_in_double_precision_and_rounded_once() -> None:
    rule = made("        return (1 - 0.999**t) * g, s")
    g = np.array([1.0], np.float32)
    for compiled in WAYS:
        w = in_place(rule, np.zeros(1, np.float32), [g], compiled)[0]
        assert w[0] == -np.float32(0.125) * np.float32(1 - 0.999)


def test_a_division_by_a_constant_is_a_product_with_its_reciprocal() -> None:
    g = np.random.default_rng(0).standard_normal(2000)
    rule = made("        return g / (1 - self.k**t), s")
    expected, found = (f(rule, np.zeros(2000), [g]) for f in (pure, reciprocal))
    few = 4 * np.finfo(float).eps
    np.testing.assert_allclose(found[0], expected[0], rtol=few)
    zero = made("        return g / (t - 1), s")
    with np.errstate(all="ignore"):
        for compiled in WAYS:
            w = np.array([0.0])
            found = in_place(zero, w, [np.array([2.0])], compiled)
            assert found[0][0] == -math.inf


def reciprocal(rule: Rule, w: Array, grads: list[Array]) -> list[Array]:
    return in_place(rule, w, grads, compiled=WAYS[-1])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return np.sort(g), s", "np.sort"),
        ("return g - g.mean(), s", "the attribute mean"),
        ("return g if t > 1 else -g, s", "a comparison of the step"),
        ("return g if w[0] > 1 else -g, s", "single entries"),
        ("return g if g > 1 else -g, s", "a decision on the value of an entry"),
        ("return g * math.sqrt(t), s", "name 'math' is not defined"),
        ("return g * float(t), s", "the step as a plain number"),
        ("return g * float(g), s", "an entry as a number of Python"),
        ("return g * np.ones(3), s", "ndarray where an argument or a number"),
        ("return g * 'x', s", "str where an argument or a number belongs"),
        ("g += 1\n        return g, s", "it writes in place"),
        ("g[0] = 1\n        return g, s", "single entries"),
        ("return np.cumsum(g), s", "np.cumsum"),
        ("return np.clip(g, -1, 1), s", "np.clip: this cannot"),
        ("return np.where(g > 0)[0], s", "np.where: this cannot"),
        ("return np.add.reduce(g), s", "np.add.reduce"),
        ("return np.add(g, 1, where=g > 0), s", "np.add"),
        ("return np.floor_divide(g, 2), s", "np.floor_divide"),
        ("return np.asarray(g) + 1, s", "the whole array"),
        ("return sum(g), s", "single entries"),
        ("return len(g) * g, s", "single entries"),
        ("return g & w, s", "np.bitwise_and of what is not true or false"),
        ("return np.where(g, g, w), s", "np.where of what is not true or false"),
        ("return g * np.float64(2.0), s", "would make float32 arrays wider"),
        ("return g / (1 / (t - 3)), s", "division by zero at step 3"),
        ("return g, s.a", "a state ("),
        ("return g, (s.a, s.b)", "a state ("),
        ("return g, None", "a state ("),
    ],
)
@pytest.mark.parametrize("compiled", [None, False])
def test_what_is_no_loop_is_refused_with_its_line(
    body: str, message: str, compiled: bool | None
) -> None:
    rule = made("        " + body)
    params: Params = {"w": np.zeros(3, np.float32)}
    with pytest.raises(ValueError, match=r"^Drawn\.update(, line \d+)?: ") as found:
        InPlace(Optimizer(rule, 0.1), params, compiled=compiled)
    assert message in str(found.value)
    assert "the pure step works" in str(found.value)


def test_the_line_is_the_one_in_the_rule_and_its_text_is_shown() -> None:
    class Branching(Checked):
        def init(self, w: Array, /) -> None:
            return None

        def update(self, g: Array, s: None, w: Array, t: int, /) -> Any:
            if g.sum() > 1:
                g = -g
            return g, s

    line = Branching.update.__code__.co_firstlineno + 1
    message = rf"^Branching\.update, line {line}: 'if g\.sum\(\) > 1:': the attribute"
    with pytest.raises(ValueError, match=message):
        loop_source(Branching())


def test_a_number_of_numpy_that_keeps_the_dtype_is_welcome() -> None:
    rule = made("        return g * np.float32(0.5) + np.array(2, g.dtype), s")
    w, g = np.zeros(3, np.float32), np.ones(3, np.float32)
    for compiled in WAYS:
        np.testing.assert_array_equal(in_place(rule, w, [g], compiled)[0], -0.3125)


def test_a_local_called_state_is_no_keyword() -> None:
    rule = made("        state = s.a + g\n        return state, Pair(state, s.b)")
    g = np.ones(2)
    for compiled in WAYS:
        np.testing.assert_array_equal(
            in_place(rule, np.zeros(2), [g], compiled)[1], [1, 1]
        )


@dataclass(frozen=True)
class Smooth(Checked):
    """Functions that numba and NumPy may round differently."""

    beta: float = 0.3

    def init(self, w: Array, /) -> Array:
        return np.zeros_like(w)

    def update(self, g: Array, s: Array, w: Array, t: int, /) -> tuple[Array, Array]:
        s = np.tanh(s + g) + np.exp(-abs(w)) * self.beta**t
        return np.copysign(np.log1p(abs(s)), np.arctan2(g, w)) + abs(g) ** 1.5, s


def test_transcendental_functions_agree_to_the_last_few_bits() -> None:
    rng = np.random.default_rng(0)
    w, *grads = rng.standard_normal((4, 50))
    for compiled in WAYS:
        for a, b in zip(
            pure(Smooth(), w, grads),
            in_place(Smooth(), w, grads, compiled),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


def test_states_come_back_in_the_form_of_the_rule() -> None:
    rule = chain(Adam(), Momentum(), WeightDecay(0.1))
    state = rule.init(np.zeros(2))
    assert type(unflatten(state, flatten(state))[0]) is type(state[0])
