"""The shapes and indices that a layer takes."""

from typing import Any

import numpy as np
import pytest

from deepopt_lib.core.shapes import check_indices, check_shapes


def ones(*shapes: tuple[int, ...]) -> list[Any]:
    return [np.ones(shape) for shape in shapes]


@pytest.mark.parametrize(
    ("wanted", "shapes"),
    [
        ("x (batch, n)", [(2, 3)]),
        ("x ()", [()]),
        ("x (n,), y (n,)", [(3,), (3,)]),
        ("x (batch, n_in), W (n_in, 3*n), b (3*n,)", [(5, 4), (4, 6), (6,)]),
        ("x (..., n), W (n, m)", [(7, 5, 4), (4, 2)]),
        ("x (..., n), W (n, m)", [(4,), (4, 2)]),
        ("x (n, n, 2)", [(3, 3, 2)]),
        ("x (n, m)", [(0, 3)]),
    ],
)
def test_what_fits(wanted: str, shapes: list[tuple[int, ...]]) -> None:
    check_shapes("layer", wanted, *ones(*shapes))
    check_shapes("layer", wanted, *ones(*shapes))


@pytest.mark.parametrize(
    ("wanted", "shapes"),
    [
        ("x (batch, n)", [(2,)]),
        ("x (batch, n)", [(2, 3, 4)]),
        ("x ()", [(1,)]),
        ("x (n,), y (n,)", [(3,), (4,)]),
        ("x (n,), W (3*n,)", [(2,), (7,)]),
        ("W (3*n,), x (n,)", [(7,), (2,)]),
        ("W (3*n,), x (n,)", [(6,), (3,)]),
        ("x (..., n), W (n, m)", [(4, 5), (4, 2)]),
        ("x (..., n, m), y (n,)", [(4,), (4,)]),
        ("x (n, 2)", [(3, 3)]),
        ("x (2,)", [(4,)]),
    ],
)
def test_what_does_not_fit(wanted: str, shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(ValueError) as caught:
        check_shapes("layer", wanted, *ones(*shapes))
    got = ", ".join(map(str, shapes))
    assert str(caught.value) == f"layer needs {wanted}, got {got}"


def test_lists_and_numbers_have_shapes_too() -> None:
    check_shapes("layer", "x (2,), y ()", [1.0, 2.0], 3.0)
    with pytest.raises(ValueError, match=r"got \(2,\), \(\)$"):
        check_shapes("layer", "x (3,), y ()", [1.0, 2.0], 3.0)


def test_every_array_needs_its_shape() -> None:
    with pytest.raises(ValueError):
        check_shapes("layer", "x (n,), y (n,)", *ones((3,)))


@pytest.mark.parametrize(
    "x", [[0, 9], np.array([0, 9], np.uint8), 5, np.int64(0), [[0, 9], [3, 4]]]
)
def test_indices_in_range(x: Any) -> None:
    np.testing.assert_array_equal(check_indices("labels", x, 10), x)


def test_no_indices_are_in_range() -> None:
    assert check_indices("ids", np.ones((0, 3), int), 10).shape == (0, 3)


@pytest.mark.parametrize(
    ("x", "got"),
    [
        ([True, False], "bool"),
        ([0.0], "float64"),
        ([3, 10, -1, 10], r"\[-1 10\]"),
        ([0, -1], r"\[-1\]"),
        ([[0, 1], [1, -1]], r"\[-1\]"),
        ([10], r"\[10\]"),
    ],
)
def test_indices_that_are_none(x: Any, got: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^labels must be ints in \[0, 10\), got {got}$"
    ):
        check_indices("labels", x, 10)
