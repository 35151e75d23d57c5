"""Restricted Python as JavaScript: what is printed computes the same, or is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from deepopt_lib.book import live
from tests.library.live import differences, run

TABLE = (0.5, 0.25)
FACTOR = 3


def cubed(x: float) -> float:
    return x**3 + FACTOR


def tower(n: int) -> float:
    if n == 0:
        return 1.0
    return 2 * tower(n - 1)


def division(a: float, b: float) -> dict[str, Any]:
    return {
        "mod": [a % b, -a % b, a % -b, 7 % 3, -7 % 3, 7 % -3, 0 % 5],
        "floor": [a // b, -a // b, a // -b, 7 // 2, -7 // 2, 6 // 3, -6 // 3],
        "power": [a**2, (-a) ** 3, -(a**2), 2**-1],
        "round": [round(0.5), round(1.5), round(2.5), round(-0.5), round(-1.5)],
        "near": [round(a), round(-a), int(a), int(-a), abs(-a), float(3)],
    }


def loops(n: int) -> dict[str, Any]:
    """A docstring is no statement."""
    total: float = 0
    seen = []
    for i in range(n):
        if i == 2:
            continue
        if i > 5:
            break
        total += i
        seen.append(i)
    for i in range(n, 0, -2):
        total -= i / 2
    for x in seen:
        total = total + x * x
    last = i
    k = 0
    while not k >= 3 and True:
        k += 1
    for j in range(1, 4):
        j = j * 2
        seen.append(j)
    return {"total": total, "seen": seen, "last": last, "k": k, "j": j}


def lists(values: list[float]) -> dict[str, Any]:
    zeros = [0.0] * 3
    zeros[1] = 5.0
    zeros[2] += 1
    a, b = values[0], values[-1]
    a, b = b, a
    inner = [[x, 2 * x] for x in values]
    shared = zeros
    shared.append(7.0)
    return {
        "zeros": zeros,
        "swapped": [a, b],
        "inner": inner[1],
        "second": values[len(values) - 2],
        "squares": [i * i for i in range(2, 5)],
        "table": TABLE[1],
        "least": min(a, b, 0.5),
        "most": max(a, b),
        "cube": cubed(a),
        "tower": tower(5),
    }


def decisions(x: float, name: str, on: bool) -> dict[str, Any]:
    word = "small" if 0 < x <= 1 else "large"
    if name == "a" and on:
        y = 1.0
    elif name != "b" or x > 100:
        y = 2.0
    else:
        y = math.inf
    return {"word": word, "y": y, "none": math.nan, "low": -math.inf, "pi": math.pi}


def functions(x: float) -> dict[str, Any]:
    return {
        "a": [math.sqrt(x), math.exp(x), math.log(x), math.log2(x), math.log10(x)],
        "b": [math.floor(-x), math.ceil(x), math.trunc(-x), math.log1p(x)],
        "c": [math.sin(x), math.cos(x), math.tan(x), math.tanh(x), math.atan2(x, -1)],
        "d": [math.expm1(x), math.fabs(-x)],
        "e": 1 if math.isfinite(x) and not math.isnan(x) else 0,
    }


CALLS: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (division, {"a": 7.3, "b": 2.1}),
    (division, {"a": 2.0, "b": 0.1}),
    (loops, {"n": 9}),
    (lists, {"values": [0.25, -1.5, 4.0]}),
    *(
        (decisions, {"x": x, "name": n, "on": o})
        for x in (0.5, 7.0)
        for n in "abc"
        for o in (True, False)
    ),
    (functions, {"x": 0.7}),
]


@pytest.mark.parametrize(("model", "arguments"), CALLS)
def test_what_is_printed_computes_the_same(
    model: Callable[..., Any], arguments: dict[str, Any]
) -> None:
    call = f"{model.__name__}({json.dumps(arguments)})"
    browser = run(f"{live.printed(model)}\n{call}")
    assert not differences(model(**arguments), browser)


def test_a_function_is_printed_once_and_numbers_from_outside_where_they_stand() -> None:
    text = live.printed(lists)
    assert text.count("function cubed(x)") == text.count("function tower(n)") == 1
    assert "function lists({ values })" in text
    assert "FACTOR" not in text and "((x ** 3) + 3)" in text


def a_slice(x: list[float]) -> Any:
    return x[1:]


def a_format(x: float) -> Any:
    return f"{x}"


def a_truth(x: float) -> Any:
    if x:
        return 1
    return 2


def a_sum_of_lists(x: list[float]) -> Any:
    return x + [1.0]  # noqa: RUF005


def a_new_kind(x: float) -> Any:
    y: Any = 1.0
    y = [x]
    return y


def a_method(x: list[float]) -> Any:
    x.sort()
    return x


def a_word(x: float) -> Any:
    new = x
    return new


def a_sum(x: list[float]) -> Any:
    return sum(x)


def an_object(x: float) -> Any:
    return json.dumps(x)


def a_global(x: float) -> Any:
    return x * CALLS  # type: ignore[operator]


def an_effort(x: float) -> Any:
    try:
        return 1 / x
    finally:
        pass


def a_bit(x: int) -> Any:
    return x & 1


def a_membership(x: int) -> Any:
    return 1 if x in (1, 2) else 0


def a_filter(x: list[float]) -> Any:
    return [a for a in x if a > 0]


def a_default(x: float = 1.0) -> Any:
    return x


def a_chain(x: float) -> Any:
    a = b = x
    return a + b


def an_inner_mistake(x: float) -> Any:
    return a_bit(round(x))


def a_huge_number(x: float) -> Any:
    return x + 9007199254740993


def a_name_of_results(x: float) -> Any:
    return {x: 1.0}


REFUSED: dict[Callable[..., Any], str] = {
    a_slice: "a slice",
    a_format: "is not restricted Python",
    a_truth: "'x' is no comparison",
    a_sum_of_lists: "a list where a number belongs",
    a_new_kind: "'y' is a number, and now a list",
    a_method: "is not restricted Python",
    a_word: "'new' is a word of JavaScript",
    a_sum: "'sum' has no twin",
    an_object: "'json.dumps' has no twin",
    a_global: "'CALLS' is no number and no function",
    an_effort: "'try:' is not restricted",
    a_bit: "'x & 1' is not restricted",
    a_membership: "'x in (1, 2)' is not restricted",
    a_filter: "is not restricted Python",
    a_default: "every argument is given",
    a_chain: "'a = b = x' is not restricted",
    an_inner_mistake: "a_bit, line",
    a_huge_number: "no number of JavaScript",
    a_name_of_results: "plain texts",
}


@pytest.mark.parametrize("model", REFUSED, ids=lambda f: f.__name__)
def test_what_is_not_restricted_python_is_refused_with_its_line(
    model: Callable[..., Any],
) -> None:
    with pytest.raises(ValueError) as caught:
        live.printed(model)
    message, first = str(caught.value), model.__code__.co_firstlineno
    assert REFUSED[model] in message
    line = int(message.split("line ")[1].split(":")[0])
    inner = model is an_inner_mistake
    assert inner or first <= line <= first + 5


@pytest.mark.parametrize("thing", [math.sqrt, lambda x: x, type("A", (), {})])
def test_only_a_plain_function_is_printed(thing: Any) -> None:
    with pytest.raises(ValueError, match="function"):
        live.printed(thing)
