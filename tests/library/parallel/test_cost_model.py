"""The cost model against its formulas."""

import math
from typing import Any

import numpy as np
import pytest

from deepopt_lib.parallel import Link, halving_time, ring_time

SIZES = np.array([1.0, 1e3, 1e6, 1e9])


@pytest.mark.parametrize("n", [1, 2, 4, 64, 10_000])
def test_one_line_gives_the_textbook_formulas(n: int) -> None:
    a, b = 1e-5, 1e-10
    link = Link.line(a, b)
    np.testing.assert_allclose(link(SIZES), a + b * SIZES, rtol=1e-12)
    ring = 2 * (n - 1) * a + 2 * (n - 1) / n * b * SIZES
    np.testing.assert_allclose(ring_time(link, SIZES, n), ring, rtol=1e-12)
    rounds = math.ceil(math.log2(n))
    tree = 2 * rounds * a + 2 * (1 - 2.0**-rounds) * b * SIZES
    np.testing.assert_allclose(halving_time(link, SIZES, n), tree, rtol=1e-9)


def test_a_link_is_straight_between_its_sizes_and_beyond() -> None:
    link = Link((10.0, 20.0, 40.0), (1.0, 2.0, 8.0))
    found = link([5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0])
    np.testing.assert_allclose(found, [0.5, 1.0, 1.5, 2.0, 5.0, 8.0, 11.0])
    short = Link((0.25, 0.5), (0.25, 0.75))  # sizes may be less than a byte apart
    np.testing.assert_allclose(short([0.25, 0.5, 0.75]), [0.25, 0.75, 1.25])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Link((1.0,), (1.0,)), "two sizes or more"),
        (lambda: Link((1.0, 2.0), (1.0,)), "two sizes or more"),
        (lambda: Link((2.0, 1.0), (1.0, 1.0)), "ascending sizes"),
        (lambda: Link((1.0, 1.0), (1.0, 2.0)), "ascending sizes"),
        (lambda: Link((1.0, 2.0), (0.0, 1.0)), "seconds > 0"),
        (lambda: Link.line(0.0, 1.0), r"alpha must be in \(0, inf\), got 0.0"),
        (lambda: Link.line(1.0, math.nan), r"beta must be in \(0, inf\), got nan"),
        (
            lambda: ring_time(Link.line(1.0, 1.0), 1.0, 0),
            "n must be an int >= 1, got 0",
        ),
        (
            lambda: halving_time(Link.line(1.0, 1.0), 1.0, 2.5),  # type: ignore[arg-type]
            "n must be an int >= 1, got 2.5",
        ),
    ],
)
def test_bad_input(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
