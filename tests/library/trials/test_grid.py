"""Grids: what is tried, and where a border is moved."""

import math
from typing import Any

import pytest

from deepopt_lib.trials import Choices, Rates
from deepopt_lib.trials.grid import settings


def test_every_combination_in_order() -> None:
    grid: dict[str, Any] = {"lr": Rates(0.1, 1), "kind": Choices("a", "b")}
    assert settings(grid) == [
        {"lr": 0.1, "kind": "a"},
        {"lr": 0.1, "kind": "b"},
        {"lr": 1, "kind": "a"},
        {"lr": 1, "kind": "b"},
    ]


def test_a_border_moves_by_the_ratio_next_to_it() -> None:
    rates = Rates(0.1, 0.3, 3)
    low, high = rates.widened(0.1), rates.widened(3)
    assert low is not None
    assert low.values == pytest.approx((1 / 30, 0.1, 0.3, 3))
    assert high is not None
    assert high.values == pytest.approx((0.1, 0.3, 3, 30))
    assert rates.widened(0.3) is None


def test_an_end_that_nature_sets_may_win() -> None:
    share = Rates(0.25, 0.5, 1, high=1)
    assert share.widened(1) is None
    assert Rates(0, 0.5, 0.9, low=0, high=1).widened(0) is None
    grown = Rates(0.25, 0.5, high=0.8).widened(0.5)
    assert grown is not None
    assert grown.values == (0.25, 0.5, 0.8)
    assert grown.widened(0.8) is None


def test_choices_have_no_border() -> None:
    Choices("a").widened("a")


@pytest.mark.parametrize(
    "values",
    [(), (1,), (1, 1), (2, 1), (0, 1), (-1, 1), (1, math.inf), (1, math.nan), ("a", 1)],
)
def test_rates_must_rise(values: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        Rates(*values)


def test_an_empty_grid() -> None:
    with pytest.raises(ValueError, match="choices must not be empty"):
        Choices()


def test_rates_outside_their_ends() -> None:
    with pytest.raises(ValueError, match="a rate must be"):
        Rates(0.5, 1.5, high=1)
    with pytest.raises(ValueError, match="a rate must be"):
        Rates(0.1, 0.5, low=0.2)
