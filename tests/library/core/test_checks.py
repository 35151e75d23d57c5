"""One check of each kind: what it lets through, and what it says of the rest."""

import math
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from deepopt_lib.core import check_array, check_bool, check_int, check_number
from deepopt_lib.core.optional import numba_is_installed


@pytest.mark.parametrize(
    ("ends", "inside"),
    [("[)", (0, 0.5)), ("(]", (0.5, 1)), ("[]", (0, 1)), ("()", (0.5, 0.25))],
)
def test_ends_say_which_bound_belongs(ends: str, inside: tuple[float, float]) -> None:
    for value in inside:
        assert check_number("x", value, 0, 1, ends) == value
    for value in {0, 1} - set(inside):
        wanted = rf"^x must be in {re.escape(ends[0])}0, 1{re.escape(ends[1])}, got "
        with pytest.raises(ValueError, match=f"{wanted}{value}$"):
            check_number("x", value, 0, 1, ends)
    for outside in (-0.25, 1.25):
        with pytest.raises(ValueError, match=f"got {outside}$"):
            check_number("x", outside, 0, 1, ends)


@pytest.mark.parametrize(
    "value", [np.float32(0.5), np.float64(0.5), np.float16(0.5), 0.5]
)
def test_numbers_come_back_as_floats_of_python(value: Any) -> None:
    found = check_number("x", value, 0, 1)
    assert type(found) is float
    assert found == 0.5
    assert type(check_number("x", np.int8(0), 0, 1)) is float
    assert type(check_number("x", 0, 0, 1)) is float


@pytest.mark.parametrize(
    "value",
    [math.nan, True, np.True_, "0.5", None, 0.5j, Decimal("0.5"), np.array([0.5])],
)
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^Adam.b1 must be in \[0, 1\), got "):
        check_number("Adam.b1", value, 0, 1)
    with pytest.raises(ValueError, match=r"^x must be a finite number, got "):
        check_number("x", value)


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinity_is_a_number_only_where_it_belongs_to_the_interval(
    value: float,
) -> None:
    with pytest.raises(ValueError, match=r"^x must be a finite number, got -?inf$"):
        check_number("x", value)
    with pytest.raises(ValueError, match=r"^x must be in \[0, inf\), got -?inf$"):
        check_number("x", value, 0)
    assert check_number("x", math.inf, 0, math.inf, "[]") == math.inf
    assert check_number("x", -1e300) == -1e300


def test_an_interval_without_a_lower_end() -> None:
    assert check_number("x", -1e300, high=0, ends="[]") == -1e300
    with pytest.raises(ValueError, match=r"^x must be in \(-inf, 0\], got 1$"):
        check_number("x", 1, high=0, ends="[]")
    with pytest.raises(ValueError, match=r"got -inf$"):
        check_number("x", -math.inf, high=0)


@pytest.mark.parametrize("value", [1, 16, np.int64(3), np.uint8(7)])
def test_ints_come_back_as_ints_of_python(value: Any) -> None:
    found = check_int("bits", value, 1, 16)
    assert type(found) is int
    assert found == value


@pytest.mark.parametrize(
    "value", [0, 17, 2.0, True, np.True_, "2", None, np.float64(2)]
)
def test_what_is_no_int_of_the_range(value: Any) -> None:
    expected = rf"^bits must be an int in \[1, 16\], got {re.escape(repr(value))}$"
    with pytest.raises(ValueError, match=expected):
        check_int("bits", value, 1, 16)


def test_an_int_is_positive_unless_another_bound_is_given() -> None:
    assert check_int("r", 10**30) == 10**30
    assert check_int("r", 0, 0) == 0
    assert check_int("r", -3, -3, 0) == -3
    with pytest.raises(ValueError, match=r"^r must be an int >= 1, got 0$"):
        check_int("r", 0)


@pytest.mark.parametrize("value", [True, False, np.True_, np.False_])
def test_bools_come_back_as_bools_of_python(value: Any) -> None:
    assert check_bool("ema", value) is bool(value)


@pytest.mark.parametrize("value", [1, 0, "no", None, 1.0, np.array(True)])
def test_what_is_no_bool(value: Any) -> None:
    expected = rf"^ema must be True or False, got {re.escape(repr(value))}$"
    with pytest.raises(ValueError, match=expected):
        check_bool("ema", value)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f8"])
def test_a_good_array_is_returned_itself(dtype: Any) -> None:
    x = np.ones((2, 3), dtype)
    assert check_array("x", x) is x
    assert check_array("x", x, 2) is x
    scalar = np.array(1.0)
    assert check_array("x", scalar, 0) is scalar


@pytest.mark.parametrize(
    ("x", "ndim", "message"),
    [
        ([1.0], None, r"x must be a floating-point array, got \[1.0\]"),
        (np.ones(2, int), None, "x must be a floating-point array, got int64"),
        (np.ones(2, complex), None, "x must be a floating-point array, got complex128"),
        (np.ones((2, 3)), 1, r"x must have 1 axes, got shape \(2, 3\)"),
        (np.ones((2, 3)), 0, r"x must have 0 axes, got shape \(2, 3\)"),
        (np.ones((0, 3)), None, r"x is empty: shape \(0, 3\)"),
        (np.array([1, np.nan, np.inf]), 1, "x has 2 entries that are NaN or infinite"),
        (np.array([-np.inf, 1]), None, "x has 1 entries that are NaN or infinite"),
    ],
)
def test_a_bad_array(x: Any, ndim: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        check_array("x", x, ndim)


def test_numba_is_looked_for_and_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def find(name: str) -> str | None:
        asked.append(name)
        return "found" if len(asked) == 1 else None

    monkeypatch.setattr("importlib.util.find_spec", find)
    assert numba_is_installed()
    assert not numba_is_installed()
    assert asked == ["numba"] * 2
