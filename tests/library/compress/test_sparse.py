"""Sparse formats: the same matrix, bytes by formula, a choice with reasons, a layer."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepopt_lib.autodiff import check_grads, linear, sum
from deepopt_lib.compress import (
    FORMATS,
    fastest,
    magnitude,
    smallest,
    sparse_linear,
    storage,
    to_format,
    top_blocks,
    top_share,
)
from deepopt_lib.core import Array

modest = settings(max_examples=25, deadline=None, derandomize=True, database=None)


def matrix(rows: int, columns: int, density: float, dtype: Any = np.float32) -> Array:
    rng = np.random.default_rng(rows + columns)
    W = rng.standard_normal((rows, columns)).astype(dtype)
    W[rng.random((rows, columns)) >= density] = 0
    return W


@pytest.mark.parametrize("name", FORMATS)
@modest
@given(rows=st.integers(1, 5), columns=st.integers(1, 4), density=st.floats(0, 1))
def test_every_format_holds_the_same_matrix(
    name: str, rows: int, columns: int, density: float
) -> None:
    W = matrix(4 * rows, 2 * columns, density)
    held = to_format(W, name, block=(4, 2))
    back = held if name == "dense" else held.toarray()
    np.testing.assert_array_equal(back, W)
    assert held.dtype == W.dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("density", [0.0, 0.1, 0.5, 1.0])
def test_bytes_are_those_of_the_formulas(density: float, dtype: Any) -> None:
    W = matrix(40, 24, density, dtype)
    value, index = W.itemsize, 4
    nnz = np.count_nonzero(W)
    tiles = W.reshape(10, 4, 8, 3)
    blocks = np.count_nonzero(np.abs(tiles).sum(axis=(1, 3)))
    expected = {
        "dense": 40 * 24 * value,
        "CSR": nnz * (value + index) + 41 * index,
        "CSC": nnz * (value + index) + 25 * index,
        "COO": nnz * (value + 2 * index),
        "BSR": blocks * (12 * value + index) + 11 * index,
    }
    for name, size in expected.items():
        parts = storage(to_format(W, name, block=(4, 3)))
        assert np.sum(list(parts.values())) == size


@pytest.mark.parametrize(("density", "best"), [(0.9, "dense"), (0.1, "CSC")])
def test_the_smallest_format_is_chosen_and_says_why(density: float, best: str) -> None:
    W = matrix(40, 24, density)
    choice = smallest(W)
    assert choice.format == best
    assert choice.costs[best] == min(choice.costs.values())
    assert choice.costs[best] == np.sum(list(storage(choice.matrix).values()))
    assert f"{best} takes {choice.costs[best]:,.0f} bytes" in choice.why
    assert f"{np.count_nonzero(W) / W.size:.1%} of the entries" in choice.why


def test_blocks_are_chosen_where_they_fit() -> None:
    W = np.random.default_rng(0).standard_normal((64, 64))
    blocky = W * top_blocks(np.abs(W), (8, 8), 0.9)
    choice = smallest(blocky, block=(8, 8))
    assert choice.format == "BSR"
    held = to_format(blocky, "BSR", block=(8, 8))
    assert choice.costs["BSR"] == np.sum(list(storage(held).values()))
    for part in (blocky[:, :63], blocky[:63], blocky[:63, :63]):
        assert list(smallest(part, block=(8, 8)).costs) == list(FORMATS[:-1])


def test_the_second_best_is_named() -> None:
    """Of 8 * 8 entries of float32 the two in one row are not zero."""
    W = np.zeros((8, 8), np.float32)
    W[0, :2] = 1.0
    assert smallest(W).why == (
        "3.1% of the entries are not zero: COO takes 24 bytes, CSC 52"
    )


def test_the_times_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    W, x, asked = matrix(8, 8, 0.5), np.ones((3, 8), np.float32), []
    seconds = dict(zip(FORMATS, (4.0, 3.0, 1.0, 2.0, 5.0), strict=True))

    def measured(products: Any, *, rounds: int) -> dict[str, float]:
        asked.append(rounds)
        for product in products.values():
            np.testing.assert_allclose(product(), x @ W, rtol=1e-5)
        return seconds

    monkeypatch.setattr("deepopt_lib.compress.sparse.least_seconds", measured)
    choice = fastest(W, x, block=(2, 2), rounds=4)
    assert (choice.format, choice.matrix.format, asked) == ("CSC", "csc", [4])
    assert choice.costs == seconds
    assert choice.why == (
        "CSC takes 0.25 of the dense product's time for 3 rows at density "
        f"{np.count_nonzero(W) / 64:.1%}"
    )


def test_the_fastest_format_is_measured() -> None:
    W = matrix(256, 256, 0.01)
    x = np.ones((64, 256), np.float32)
    choice = fastest(W, x, rounds=3)
    assert choice.costs.keys() == set(FORMATS)
    assert choice.costs[choice.format] == min(choice.costs.values())
    assert choice.why.startswith(f"{choice.format} takes ")
    np.testing.assert_allclose(x @ choice.matrix, x @ W, atol=1e-4)


def layer() -> tuple[Array, Any, Array, Array]:
    rng = np.random.default_rng(0)
    W = rng.standard_normal((6, 5))
    W *= top_share(magnitude(W), 0.6)
    return rng.standard_normal((4, 6)), to_format(W, "CSR"), rng.random(5), W


def test_a_sparse_layer_is_the_dense_one() -> None:
    x, S, b, W = layer()
    out = sparse_linear(x, S.data, b, pattern=S)
    np.testing.assert_allclose(out, linear(x, W, b), rtol=1e-12)


def test_its_derivatives_are_those_of_the_entries() -> None:
    x, S, b, _ = layer()

    def f(x: Any, values: Any, b: Any) -> Any:
        out = sparse_linear(x, values, b, pattern=S)
        return sum(out * out)

    check_grads(f, x, S.data, b)


BAD: list[tuple[Any, str]] = [
    (lambda: to_format(np.ones((2, 2)), "ELL"), "format must be one of .*, got 'ELL'"),
    (lambda: to_format(np.ones(4), "CSR"), r"W must have 2 axes, got shape \(4,\)"),
    (lambda: to_format(np.ones((4, 4)), "BSR", block=(3, 2)), "block .* not divide"),
    (
        lambda: to_format(np.ones((4, 4)), "BSR", block=(0, 2)),
        r"block\[0\] must be an int >= 1, got 0",
    ),
    (lambda: to_format(np.full((2, 2), np.nan), "CSR"), "W has 4 entries that are NaN"),
    (lambda: to_format(np.zeros((0, 2)), "CSR"), r"W is empty: shape \(0, 2\)"),
    (
        lambda: sparse_linear(
            np.ones((2, 3)), np.ones(2), np.ones(5), pattern=layer()[1]
        ),
        r"sparse_linear needs x .* got \(2, 3\), \(2,\), \(5,\)",
    ),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_arguments_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
